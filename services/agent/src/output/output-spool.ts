import type { Logger, Ports, Timer } from "@headroom/runtime";
import type { OutputSource } from "../runner/runner.ts";
import { Backlog, type Gap, type GapCause } from "./backlog.ts";
import type { ChunkSource, SegmentStore, StoredOutput } from "./segment-store.ts";

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
  /** Output that waits for delivery, per attempt, 128 bytes a piece counted with it; beyond it the middle is left out. Default 16 MiB. */
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
/** Stored output that cannot be read is tried again for so long, and so often: a disk may be back, files may be closed. Then it is left out. */
const unreadableAfterMs = 60_000;
const unreadableAfterTries = 3;

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
  /** What an earlier program left could not be read yet. */
  #isUnread = false;
  /** Reading has failed since then, and so often; null: it works. */
  #failing: { readonly sinceMs: number; tries: number } | null = null;
  #saidUnreadable = false;

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
    return this.#gathering === undefined && this.#toStore === 0 && !this.#isUnread && this.#backlog.isEmpty;
  }

  /**
   * Takes up what an earlier agent program left undelivered; `lastSeq` is the last number that it told of, 0 if none. Rejects when that cannot
   * be read: `read` tries again then.
   */
  async load(lastSeq = 0): Promise<void> {
    this.#isUnread = true;
    this.#lastSeq = Math.max(this.#lastSeq, lastSeq);
    const stored = await this.#options.store.load().catch((error: unknown) => nothingOf(error));
    const [unreadable] = stored.unreadable;
    if (unreadable === undefined) this.#failing = null;
    else if (!this.#isLost(unreadable.error)) throw unreadable.error;
    // Two streams that follow each other may both have tried.
    if (this.#isUnread) this.#takeUp(stored);
    this.#isUnread = false;
  }

  /** How many bytes were left out, nobody knows any more; that some were is seen by the numbers, or by a segment that cannot be read. */
  #takeUp({ chunks, unreadable }: StoredOutput): void {
    let last: { readonly seq: number; readonly segment: number } | undefined;
    for (const chunk of chunks) {
      const { seq, segment, atMs } = chunk;
      const cause = unreadable.some((each) => each.segment < segment && each.segment > (last?.segment ?? -1))
        ? "unreadable"
        : "too_much";
      // Before the first chunk that can be read all may have been delivered, and its segment removed.
      const expected = last === undefined ? Math.max(1, cause === "unreadable" ? seq - 1 : seq) : last.seq + 1;
      if (seq > expected) this.#backlog.addLost(expected, 0, atMs, cause);
      this.#backlog.add(chunk);
      this.#lastSeq = Math.max(this.#lastSeq, seq);
      last = chunk;
    }
    if (!unreadable.some(({ segment }) => segment > (last?.segment ?? -1))) return;
    // Of what was written last at least one number is missing.
    this.#lastSeq = Math.max(this.#lastSeq, (last?.seq ?? 0) + 1);
    this.#backlog.addLost(this.#lastSeq, 0, this.#options.ports.clock.now(), "unreadable");
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

  /** The first piece with a number from `seq` on; null: none yet. Rejects when it cannot be read, until that has lasted: a gap takes its place then. */
  async read(seq: number): Promise<OutputPiece | null> {
    if (this.#isUnread) await this.load();
    const next = this.#backlog.next(seq);
    if (next === null) return null;
    if (next.kind === "gap") return { seq: next.seq, source: "headroom", data: gapText(next), atMs: next.atMs };
    const { chunk } = next;
    try {
      const data = await this.#options.store.read(chunk);
      this.#failing = null;
      return { seq: chunk.seq, source: chunk.source, data, atMs: chunk.atMs };
    } catch (error) {
      // Delivered over an earlier stream, as is heard just now, and removed: nothing has failed.
      if (this.#backlog.has(chunk)) {
        if (!this.#isLost(error)) throw error;
        this.#backlog.lose(chunk);
      }
    }
    return this.read(seq);
  }

  /** Reading has failed again: whether it has for too long now. */
  #isLost(error: unknown): boolean {
    const nowMs = this.#options.ports.clock.monotonic();
    this.#failing ??= { sinceMs: nowMs, tries: 0 };
    this.#failing.tries += 1;
    const { sinceMs, tries } = this.#failing;
    if (tries < unreadableAfterTries || nowMs - sinceMs < unreadableAfterMs) return false;
    if (!this.#saidUnreadable)
      this.#options.logger.warn({ err: error }, "stored output of a task stays unreadable and is left out");
    this.#saidUnreadable = true;
    return true;
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

/** Not even which segments there are. */
function nothingOf(error: unknown): StoredOutput {
  return { chunks: [], unreadable: [{ segment: 0, error }] };
}

const causeText: Readonly<Record<GapCause, string>> = {
  too_much: "it came faster than it could be delivered or stored",
  unreadable: "it was stored on the agent's disk and could not be read there",
};

/** The orchestrator reads the figure back when it leaves out the note itself. */
function gapText(gap: Gap): Buffer {
  const what = gap.bytes > 0 ? `${gap.bytes} bytes of output` : "some output";
  return Buffer.from(`${what} left out here: ${causeText[gap.cause]}\n`);
}
