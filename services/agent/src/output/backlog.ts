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
  readonly chunks: StoredChunk[];
  bytes: number;
}

export type NextPiece = Gap | { readonly kind: "chunk"; readonly chunk: StoredChunk };

/** Which output of one attempt is stored and not yet delivered, in order. Pure: it says which segments to remove, others remove them. */
export class Backlog {
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  #parts: (Segment | Gap)[] = [];
  #bytes = 0;
  /** Highest number handed out: from here back nothing is left out any more, for it may be on its way. */
  #handedOut = 0;
  #lastSegment = 0;

  constructor(maxBytes: number, segmentBytes: number) {
    this.#maxBytes = maxBytes;
    this.#segmentBytes = segmentBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#parts.every((part) => part.kind === "segment" && part.chunks.length === 0);
  }

  holds(segment: number): boolean {
    return this.#parts.some((part) => part.kind === "segment" && part.number === segment);
  }

  /** Whether a chunk is there and was not delivered yet. */
  has(chunk: StoredChunk): boolean {
    return this.#parts.some((part) => part.kind === "segment" && part.chunks.includes(chunk));
  }

  /** The segment that the next chunk goes to. */
  segmentFor(length: number): number {
    const last = this.#parts.at(-1);
    const fits = last?.kind === "segment" && last.bytes + length <= this.#segmentBytes;
    if (!fits) this.#lastSegment += 1;
    return this.#lastSegment;
  }

  add(chunk: StoredChunk): void {
    let last = this.#parts.at(-1);
    if (last?.kind !== "segment" || last.number !== chunk.segment) {
      last = { kind: "segment", number: chunk.segment, chunks: [], bytes: 0 };
      this.#parts.push(last);
    }
    this.#lastSegment = Math.max(this.#lastSegment, chunk.segment);
    last.chunks.push(chunk);
    last.bytes += chunk.length;
    this.#bytes += chunk.length;
  }

  /** Output of which nothing is there: it could not even be stored, or what is stored cannot be read. */
  addLost(seq: number, bytes: number, atMs: number, cause: GapCause = "too_much"): void {
    this.#insertGap(this.#parts.length, { kind: "gap", seq, lastSeq: seq, bytes, atMs, cause });
  }

  /** A chunk that was handed out and cannot be read: a gap takes its place. */
  lose(chunk: StoredChunk): void {
    const index = this.#parts.findIndex((part) => part.kind === "segment" && part.chunks.includes(chunk));
    const part = this.#parts[index];
    if (part?.kind !== "segment") return;
    const { seq, length, atMs } = chunk;
    const at = part.chunks.indexOf(chunk);
    const before = segmentOf(part.number, part.chunks.slice(0, at));
    const after = segmentOf(part.number, part.chunks.slice(at + 1));
    const gap: Gap = { kind: "gap", seq, lastSeq: seq, bytes: length, atMs, cause: "unreadable" };
    const isFilled = (each: Segment | Gap): boolean => each.kind === "gap" || each.chunks.length > 0;
    this.#parts.splice(index, 1, ...[before, gap, after].filter(isFilled));
    this.#bytes -= length;
  }

  /** Leaves out the middle while there is more than the bound; answers the segments to remove. */
  leaveOut(): readonly number[] {
    const removed: number[] = [];
    while (this.#bytes > this.#maxBytes) {
      const index = this.#middle();
      const segment = this.#parts[index];
      if (segment?.kind !== "segment") break;
      this.#parts.splice(index, 1);
      this.#bytes -= segment.bytes;
      removed.push(segment.number);
      const [first] = segment.chunks;
      const last = segment.chunks.at(-1);
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
      const chunk = part.chunks.find((candidate) => candidate.seq >= seq);
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
      while (part.chunks[0] !== undefined && part.chunks[0].seq <= seq) {
        const length = part.chunks.shift()?.length ?? 0;
        part.bytes -= length;
        this.#bytes -= length;
      }
      if (part.chunks.length > 0) kept.push(part);
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
      const isFree = (part.chunks[0]?.seq ?? 0) > this.#handedOut;
      if (isFree && before + part.bytes > this.#maxBytes / 2) return index;
      if (isFree) fallback = index;
      before += part.bytes;
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
  return { kind: "segment", number, chunks, bytes: chunks.reduce((sum, { length }) => sum + length, 0) };
}
