import type { Logger, Ports, Timer } from "@headroom/runtime";
import type { OutputSource } from "../runner/runner.ts";
import { Backlog, type Gap } from "./backlog.ts";
import type { ChunkSource, SegmentStore } from "./segment-store.ts";

/** A piece of output as it is sent. */
export interface OutputPiece {
  readonly seq: number;
  readonly source: ChunkSource;
  readonly data: Buffer;
  readonly atMs: number;
}

export interface OutputSpoolOptions {
  readonly store: SegmentStore;
  readonly ports: Ports;
  readonly logger: Logger;
  /** Output that waits for delivery, per attempt; beyond it the middle is left out. Default 16 MiB. */
  readonly maxBytes?: number;
  /** Told when there is more to send. */
  onMore(): void;
}

const defaultMaxBytes = 16 * 1_048_576;
const segmentsPerSpool = 16;
/** The contract's bound on one message. */
const maxPieceBytes = 65_536;
/** A program that prints line by line makes one piece of this much time, not one a line. */
const gatherMs = 50;

interface Gathering {
  readonly source: OutputSource;
  readonly parts: Buffer[];
  readonly atMs: number;
  bytes: number;
  readonly timer: Timer;
}

/** The output of one attempt, kept until it was delivered. Pieces are numbered from 1 in the order in which they were written. */
export class OutputSpool {
  readonly #options: OutputSpoolOptions;
  readonly #backlog: Backlog;
  #gathering: Gathering | undefined;
  /** Storing goes on one piece after the other. */
  #storing: Promise<void> = Promise.resolve();
  #toStore = 0;
  #lastSeq = 0;
  #saidFull = false;

  constructor(options: OutputSpoolOptions) {
    this.#options = options;
    const maxBytes = options.maxBytes ?? defaultMaxBytes;
    this.#backlog = new Backlog(maxBytes, Math.ceil(maxBytes / segmentsPerSpool));
  }

  /** Number of the last piece; 0: nothing was written. Complete after `flush`. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Everything that was written was delivered. */
  get isDelivered(): boolean {
    return this.#gathering === undefined && this.#toStore === 0 && this.#backlog.isEmpty;
  }

  /** Takes up what an earlier agent program left undelivered. */
  async load(): Promise<void> {
    let expected: number | undefined;
    for (const chunk of await this.#options.store.load()) {
      // Numbers that are missing in between were left out; how many bytes that was, nobody knows any more.
      if (expected !== undefined && chunk.seq > expected) this.#backlog.addLost(expected, 0, chunk.atMs);
      expected = chunk.seq + 1;
      this.#backlog.add(chunk);
      this.#lastSeq = Math.max(this.#lastSeq, chunk.seq);
    }
  }

  /** Takes what a process wrote; resolves when more may come. Never rejects. */
  async write(source: OutputSource, data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; at += maxPieceBytes) {
      const part = data.subarray(at, at + maxPieceBytes);
      const gathering = this.#gathering;
      if (gathering !== undefined && (gathering.source !== source || gathering.bytes + part.length > maxPieceBytes))
        this.#store();
      this.#gather(source, part);
      if ((this.#gathering?.bytes ?? 0) >= maxPieceBytes) this.#store();
    }
    await this.#storing;
  }

  /** Stores what was gathered; resolves when it can be read. */
  flush(): Promise<void> {
    this.#store();
    return this.#storing;
  }

  /** The first piece with a number from `seq` on; null: none yet. */
  async read(seq: number): Promise<OutputPiece | null> {
    const next = this.#backlog.next(seq);
    if (next === null) return null;
    if (next.kind === "gap") return { seq: next.seq, source: "headroom", data: gapText(next), atMs: next.atMs };
    const { chunk } = next;
    return { seq: chunk.seq, source: chunk.source, data: await this.#options.store.read(chunk), atMs: chunk.atMs };
  }

  /** All up to `seq` was delivered. */
  delivered(seq: number): void {
    for (const segment of this.#backlog.delivered(seq)) this.#removeSegment(segment);
  }

  /** Lets go of files; what is stored stays for the next agent program. */
  async close(): Promise<void> {
    await this.flush();
    await this.#options.store.close();
  }

  /** Removes all that is stored. */
  async remove(): Promise<void> {
    this.#gathering?.timer.cancel();
    this.#gathering = undefined;
    await this.#storing;
    await this.#options.store.remove();
  }

  #gather(source: OutputSource, part: Buffer): void {
    if (this.#gathering === undefined) {
      const { clock, timers } = this.#options.ports;
      const timer = timers.after(gatherMs, () => this.#store());
      this.#gathering = { source, parts: [], atMs: clock.now(), bytes: 0, timer };
    }
    this.#gathering.parts.push(part);
    this.#gathering.bytes += part.length;
  }

  #store(): void {
    const gathered = this.#gathering;
    if (gathered === undefined) return;
    gathered.timer.cancel();
    this.#gathering = undefined;
    this.#lastSeq += 1;
    this.#toStore += 1;
    const seq = this.#lastSeq;
    this.#storing = this.#storing.then(() => this.#storePiece(seq, gathered));
  }

  async #storePiece(seq: number, gathered: Gathering): Promise<void> {
    const { source, atMs, bytes } = gathered;
    const data = Buffer.concat(gathered.parts);
    try {
      const segment = this.#backlog.segmentFor(bytes);
      this.#backlog.add(await this.#options.store.append(segment, { seq, source, atMs }, data));
    } catch (error) {
      if (!this.#saidFull)
        this.#options.logger.warn({ err: error }, "output of a task cannot be stored and is left out");
      this.#saidFull = true;
      this.#backlog.addLost(seq, bytes, atMs);
    }
    this.#toStore -= 1;
    for (const segment of this.#backlog.leaveOut()) this.#removeSegment(segment);
    this.#options.onMore();
  }

  /** In line with the writes: one that was under way may have put a new chunk into a segment that was just delivered whole. */
  #removeSegment(segment: number): void {
    this.#storing = this.#storing.then(async () => {
      if (this.#backlog.holds(segment)) return;
      await this.#options.store.removeSegment(segment).catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, "delivered output of a task could not be removed");
      });
    });
  }
}

/** The orchestrator reads the figure back when it leaves out the note itself. */
function gapText(gap: Gap): Buffer {
  const what = gap.bytes > 0 ? `${gap.bytes} bytes of output` : "some output";
  return Buffer.from(`${what} left out here: it came faster than it could be delivered or stored\n`);
}
