import type { Readable } from "node:stream";
import { withTimeout, type Logger, type Ports } from "@headroom/runtime";
import type { OutputSink, OutputSource } from "./runner.ts";

export interface TakeOutputOptions {
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly sink: OutputSink;
  readonly ports: Ports;
  readonly logger: Logger;
}

/** With all processes gone a pipe has ended; one that has not is held by a process that we cannot see, and is let go. */
const drainLimitMs = 5_000;
/** More than pipes hold: whoever wrote it writes on, and is none of those that are gone. */
const drainLimitBytes = 4 * 1_048_576;

/** What a run writes, on its way to the sink. */
export class TakenOutput {
  readonly #options: TakeOutputOptions;
  readonly #taken: Promise<unknown>;
  #bytes = 0;
  #inSink = 0;
  /** Since when pieces wait in the sink, and for how long they did before. */
  #busyFromMs = 0;
  #busyMs = 0;

  /** Listens at once. */
  constructor(options: TakeOutputOptions) {
    this.#options = options;
    this.#taken = Promise.all([this.#take("stdout", options.stdout), this.#take("stderr", options.stderr)]);
  }

  /**
   * Resolves when the pipes have ended and all that was in them was taken; or when they were given up because they stayed open for 5 s.
   * Time in which a piece waits to be stored does not count: a disk that stands still costs a run none of its output.
   */
  async drain(): Promise<void> {
    const { ports, logger, stdout, stderr } = this.#options;
    const before = { atMs: ports.clock.monotonic(), busyMs: this.#busySoFarMs(), bytes: this.#bytes };
    const idleMs = (): number => ports.clock.monotonic() - before.atMs - (this.#busySoFarMs() - before.busyMs);
    for (let leftMs = drainLimitMs; leftMs > 0; leftMs = drainLimitMs - idleMs()) {
      if (await this.#endsWithin(leftMs)) return;
      if (this.#bytes - before.bytes > drainLimitBytes) break;
    }
    logger.warn("a task's pipe stays open with its processes gone: what may yet be written to it is left out");
    stdout?.destroy();
    stderr?.destroy();
  }

  #endsWithin(limitMs: number): Promise<boolean> {
    const late = new Error("the pipe is still open");
    return withTimeout(this.#options.ports.timers, limitMs, this.#taken, () => late).then(
      () => true,
      () => false,
    );
  }

  async #take(source: OutputSource, stream: Readable | null): Promise<void> {
    if (stream === null) return;
    try {
      // Awaiting each piece lets the pipe fill: a command that writes faster than we store is slowed down, not buffered.
      for await (const data of stream) await this.#store(source, data as Buffer);
    } catch (error) {
      this.#options.logger.debug({ err: error }, "a pipe of a task ended early");
    }
  }

  async #store(source: OutputSource, data: Buffer): Promise<void> {
    if (this.#inSink === 0) this.#busyFromMs = this.#options.ports.clock.monotonic();
    this.#inSink += 1;
    this.#bytes += data.length;
    try {
      await this.#options.sink(source, data);
    } finally {
      this.#busyMs = this.#busySoFarMs();
      this.#inSink -= 1;
      this.#busyFromMs = this.#options.ports.clock.monotonic();
    }
  }

  #busySoFarMs(): number {
    if (this.#inSink === 0) return this.#busyMs;
    return this.#busyMs + this.#options.ports.clock.monotonic() - this.#busyFromMs;
  }
}
