import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { createDeferred } from "@headroom/runtime";
import { captureLogger, manualPorts, waitFor, type CapturingLogger, type ManualPorts } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OutputSink } from "./runner.ts";
import { TakenOutput } from "./take-output.ts";

let ports: ManualPorts;
let logger: CapturingLogger;
let ended: (() => void)[];

beforeEach(() => {
  ports = manualPorts();
  logger = captureLogger();
  ended = [];
});
afterEach(() => {
  for (const end of ended) end();
});

interface Command {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly drain: () => Drain;
}

/** A real command, on a manual clock. */
function run(script: string, sink: OutputSink): Command {
  const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  const output = new TakenOutput({ stdout: child.stdout, stderr: null, sink, ports, logger });
  return { child, drain: () => follow(output.drain()) };
}

interface Drain {
  readonly done: Promise<void>;
  isDone: boolean;
}

function follow(done: Promise<void>): Drain {
  const drain = { done, isDone: false };
  void done.then(() => (drain.isDone = true));
  return drain;
}

describe.skipIf(process.platform === "win32")("TakenOutput", () => {
  it("keeps all output of a run that ends while the disk stands still, however long", async () => {
    const disk = createDeferred();
    let text = "";
    const { child, drain } = run("head -c 150000 /dev/zero; echo the reason", async (_source, data) => {
      text += data.toString();
      await disk.promise;
    });
    const exited = once(child, "exit");
    await waitFor(() => text !== "");
    const drained = drain();
    await ports.advance(60_000);
    expect(drained.isDone).toBe(false);
    disk.resolve();
    await exited;
    await drained.done;
    expect(text.length).toBe(150_000 + "the reason\n".length);
    expect(logger.records).toEqual([]);
  });

  it("lets go of a pipe that stays open for 5 s, not counting those in which a piece was being stored, and says so", async () => {
    const disk = createDeferred();
    let pieces = 0;
    const { child, drain } = run("echo first; sleep 1000 & echo $!", async (_source, data) => {
      pieces += 1;
      const holder = /^(\d+)$/m.exec(data.toString())?.[1];
      if (holder !== undefined) ended.push(() => process.kill(Number(holder), "SIGKILL"));
      await disk.promise;
    });
    await once(child, "exit");
    await waitFor(() => pieces > 0);
    const drained = drain();
    await ports.advance(7_000);
    disk.resolve();
    await waitFor(() => ended.length > 0);
    await ports.advance(4_900);
    expect(drained.isDone).toBe(false);
    await ports.advance(200);
    await drained.done;
    expect(logger.has("pipe stays open", "warn")).toBe(true);
    expect(child.stdout.destroyed).toBe(true);
  });

  it("lets go of a pipe that somebody unseen goes on writing to, however busy it keeps the disk", async () => {
    let bytes = 0;
    const { child, drain } = run("yes & true", (_source, data) => {
      bytes += data.length;
      return new Promise((resolve) => void setImmediate(resolve));
    });
    ended.push(() => process.kill(-(child.pid ?? 0), "SIGKILL"));
    await once(child, "exit");
    const drained = drain();
    await waitFor(() => bytes > 10_000_000);
    await ports.advance(5_000);
    await drained.done;
    expect(child.stdout.destroyed).toBe(true);
  });
});
