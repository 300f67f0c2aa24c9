import type { Writable } from "node:stream";
import { isatty } from "node:tty";
import { endProcess, signalEchoMs, systemPorts } from "@headroom/runtime";
import type { CliIo, Output } from "./io.ts";

/**
 * The real world. A reader of stdout that has gone (`| head`) ends the process quietly with 0, for it has all that it wanted; see
 * outliveReaders. One of stderr has no say in what a command comes to.
 */
export function processIo(): CliIo {
  let readersMatter = true;
  const leave = (error: NodeJS.ErrnoException): void => {
    if (!readersMatter) return;
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  };
  process.stdout.on("error", leave);
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") leave(error);
  });
  let interrupt: AbortController | undefined;
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    ports: systemPorts,
    interrupted() {
      interrupt ??= listenForInterrupt();
      return interrupt.signal;
    },
    outliveReaders() {
      readersMatter = false;
    },
  };
}

function outputOf(stream: NodeJS.WriteStream & { fd: number }): Output {
  // `stream.isTTY` is undefined, whatever its type says, where no terminal is.
  const isTTY = isatty(stream.fd);
  return {
    write: (data) => void stream.write(data),
    room: (signal) => roomOf(stream, signal),
    isTTY,
    columns: () => (isTTY ? (stream.columns ?? null) : null),
    rows: () => (isTTY ? (stream.rows ?? null) : null),
  };
}

/** Resolves too when the reader has gone: what that means is decided elsewhere. Exported for tests. */
export function roomOf(stream: Writable, signal?: AbortSignal): Promise<void> {
  if (!stream.writableNeedDrain || signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const events = ["drain", "error", "close"] as const;
    const done = (): void => {
      for (const name of events) stream.off(name, done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    for (const name of events) stream.on(name, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

function listenForInterrupt(): AbortController {
  const controller = new AbortController();
  const { clock } = systemPorts;
  let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | null = null;
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    process.on(signal, () => {
      first ??= { signal, atMs: clock.monotonic() };
      if (signal === first.signal && clock.monotonic() - first.atMs <= signalEchoMs) {
        controller.abort(new Error(signal));
        return;
      }
      void endProcess(128 + number);
    });
  }
  return controller;
}

/** Waits until all that was written has left: a pipe may take it slower than the process ends. */
export async function flushOutput(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => void stream.write("", () => resolve()));
  }
}
