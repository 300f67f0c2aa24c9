import type { StoredChunk } from "./segment-store.ts";

/** Why output was left out. */
export type GapCause =
  /** There was more than is kept, or than the disk took. */
  | "too_much"
  /** It was stored, and could not be read any more. */
  | "unreadable";

/** Output that was left out: its bytes are gone, its numbers are not used again. */
export interface Gap {
  readonly kind: "gap";
  readonly seq: number;
  readonly lastSeq: number;
  /** 0: nobody knows how many. */
  readonly bytes: number;
  readonly atMs: number;
  readonly cause: GapCause;
}

interface Segment {
  readonly kind: "segment";
  readonly number: number;
  readonly chunks: Chunks;
  /** Of data: what is told when it is left out. */
  bytes: number;
  /** What it counts as against the bounds. */
  weight: number;
}

/** What a piece takes beside its data, in memory, on the disk and in a message: a program that alternates between its streams writes many small ones. */
const pieceOverheadBytes = 128;

/** What a piece counts as, against every bound on output. */
export function weightOf(dataBytes: number): number {
  return dataBytes + pieceOverheadBytes;
}

export type NextPiece = Gap | { readonly kind: "chunk"; readonly chunk: StoredChunk };

/** The chunks of a segment that are not delivered, by their numbers. None is moved when those before it are: there may be a hundred thousand. */
class Chunks {
  readonly #all: StoredChunk[];
  #from = 0;

  constructor(all: StoredChunk[]) {
    this.#all = all;
  }

  get isEmpty(): boolean {
    return this.#from === this.#all.length;
  }

  get first(): StoredChunk | undefined {
    return this.#all[this.#from];
  }

  get last(): StoredChunk | undefined {
    return this.isEmpty ? undefined : this.#all.at(-1);
  }

  /** Their numbers grow. */
  push(chunk: StoredChunk): void {
    this.#all.push(chunk);
  }

  /** The first with a number from `seq` on. */
  next(seq: number): StoredChunk | undefined {
    return this.#all[this.#placeOf(seq)];
  }

  has(chunk: StoredChunk): boolean {
    return this.next(chunk.seq) === chunk;
  }

  /** Takes out all up to `seq`. */
  take(seq: number): readonly StoredChunk[] {
    const until = this.#placeOf(seq + 1);
    const taken = this.#all.slice(this.#from, until);
    this.#from = until;
    // What was taken is let go of once it is half of all.
    if (this.#from * 2 >= this.#all.length) {
      this.#all.splice(0, this.#from);
      this.#from = 0;
    }
    return taken;
  }

  /** Those before and after one number. */
  around(seq: number): { readonly before: StoredChunk[]; readonly after: StoredChunk[] } {
    return {
      before: this.#all.slice(this.#from, this.#placeOf(seq)),
      after: this.#all.slice(this.#placeOf(seq + 1)),
    };
  }

  #placeOf(seq: number): number {
    let from = this.#from;
    let to = this.#all.length;
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      if ((this.#all[middle]?.seq ?? 0) < seq) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

/** Which output of one attempt is stored and not yet delivered, in order. Pure: it says which segments to remove, others remove them. */
export class Backlog {
  readonly #maxWeight: number;
  readonly #segmentWeight: number;
  #parts: (Segment | Gap)[] = [];
  #weight = 0;
  /** Highest number handed out: from here back nothing is left out any more, for it may be on its way. */
  #handedOut = 0;
  #lastSegment = 0;

  /** Both bounds in bytes, what each piece takes beside its data counted. */
  constructor(maxWeight: number, segmentWeight: number) {
    this.#maxWeight = maxWeight;
    this.#segmentWeight = segmentWeight;
  }

  get isEmpty(): boolean {
    return this.#parts.every((part) => part.kind === "segment" && part.chunks.isEmpty);
  }

  holds(segment: number): boolean {
    return this.#parts.some((part) => part.kind === "segment" && part.number === segment);
  }

  /** Whether a chunk is there and was not delivered yet. */
  has(chunk: StoredChunk): boolean {
    return this.#parts.some((part) => part.kind === "segment" && part.chunks.has(chunk));
  }

  /** The segment that the next chunk goes to. */
  segmentFor(length: number): number {
    const last = this.#parts.at(-1);
    const fits = last?.kind === "segment" && last.weight + weightOf(length) <= this.#segmentWeight;
    if (!fits) this.#lastSegment += 1;
    return this.#lastSegment;
  }

  add(chunk: StoredChunk): void {
    let last = this.#parts.at(-1);
    if (last?.kind !== "segment" || last.number !== chunk.segment) {
      last = segmentOf(chunk.segment, []);
      this.#parts.push(last);
    }
    this.#lastSegment = Math.max(this.#lastSegment, chunk.segment);
    last.chunks.push(chunk);
    last.bytes += chunk.length;
    last.weight += weightOf(chunk.length);
    this.#weight += weightOf(chunk.length);
  }

  /** Output of which nothing is there: it could not even be stored, or what is stored cannot be read. */
  addLost(seq: number, bytes: number, atMs: number, cause: GapCause = "too_much"): void {
    this.#insertGap(this.#parts.length, { kind: "gap", seq, lastSeq: seq, bytes, atMs, cause });
  }

  /** A chunk that was handed out and cannot be read: a gap takes its place. */
  lose(chunk: StoredChunk): void {
    const index = this.#parts.findIndex((part) => part.kind === "segment" && part.chunks.has(chunk));
    const part = this.#parts[index];
    if (part?.kind !== "segment") return;
    const { seq, length, atMs } = chunk;
    const around = part.chunks.around(seq);
    const before = segmentOf(part.number, around.before);
    const after = segmentOf(part.number, around.after);
    const gap: Gap = { kind: "gap", seq, lastSeq: seq, bytes: length, atMs, cause: "unreadable" };
    const isFilled = (each: Segment | Gap): boolean => each.kind === "gap" || !each.chunks.isEmpty;
    this.#parts.splice(index, 1, ...[before, gap, after].filter(isFilled));
    this.#weight -= weightOf(length);
  }

  /** Leaves out the middle while there is more than the bound; answers the segments to remove. */
  leaveOut(): readonly number[] {
    const removed: number[] = [];
    while (this.#weight > this.#maxWeight) {
      const index = this.#middle();
      const segment = this.#parts[index];
      if (segment?.kind !== "segment") break;
      this.#parts.splice(index, 1);
      this.#weight -= segment.weight;
      removed.push(segment.number);
      const { first, last } = segment.chunks;
      if (first === undefined || last === undefined) continue;
      this.#insertGap(index, {
        kind: "gap",
        seq: first.seq,
        lastSeq: last.seq,
        bytes: segment.bytes,
        atMs: first.atMs,
        cause: "too_much",
      });
    }
    return removed;
  }

  /** The first piece with a number from `seq` on. */
  next(seq: number): NextPiece | null {
    for (const part of this.#parts) {
      if (part.kind === "gap") {
        if (part.seq < seq) continue;
        this.#handedOut = Math.max(this.#handedOut, part.seq);
        return part;
      }
      const chunk = part.chunks.next(seq);
      if (chunk === undefined) continue;
      this.#handedOut = Math.max(this.#handedOut, chunk.seq);
      return { kind: "chunk", chunk };
    }
    return null;
  }

  /** All up to `seq` was delivered; answers the segments to remove. */
  delivered(seq: number): readonly number[] {
    const removed: number[] = [];
    const kept: (Segment | Gap)[] = [];
    for (const part of this.#parts) {
      if (part.kind === "gap") {
        if (part.seq > seq) kept.push(part);
        continue;
      }
      for (const { length } of part.chunks.take(seq)) {
        part.bytes -= length;
        part.weight -= weightOf(length);
        this.#weight -= weightOf(length);
      }
      if (!part.chunks.isEmpty) kept.push(part);
      else removed.push(part.number);
    }
    this.#parts = kept;
    return removed;
  }

  /**
   * The segment after a gap that nobody has seen yet, so that the gap grows: many small gaps would be many notes. Else the
   * first past half the bound. Neither on its way nor being written; so beginning and end stay.
   */
  #middle(): number {
    const gap = this.#parts.findIndex((part) => part.kind === "gap" && part.seq > this.#handedOut);
    if (gap >= 0 && gap < this.#parts.length - 2 && this.#parts[gap + 1]?.kind === "segment") return gap + 1;
    let before = 0;
    let fallback = -1;
    for (const [index, part] of this.#parts.entries()) {
      if (part.kind === "gap" || index === this.#parts.length - 1) continue;
      const isFree = (part.chunks.first?.seq ?? 0) > this.#handedOut;
      if (isFree && before + part.weight > this.#maxWeight / 2) return index;
      if (isFree) fallback = index;
      before += part.weight;
    }
    return fallback;
  }

  /** Joins a gap with the one before it, if that has the same cause and is not yet on its way. */
  #insertGap(index: number, gap: Gap): void {
    const before = this.#parts[index - 1];
    if (before?.kind === "gap" && before.cause === gap.cause && before.seq > this.#handedOut) {
      this.#parts[index - 1] = { ...before, lastSeq: gap.lastSeq, bytes: before.bytes + gap.bytes };
      return;
    }
    this.#parts.splice(index, 0, gap);
  }
}

function segmentOf(number: number, chunks: StoredChunk[]): Segment {
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  const weight = chunks.reduce((sum, { length }) => sum + weightOf(length), 0);
  return { kind: "segment", number, chunks: new Chunks(chunks), bytes, weight };
}
