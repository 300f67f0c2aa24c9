import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backlog, type Gap, type NextPiece } from "./backlog.ts";
import type { StoredChunk } from "./segment-store.ts";

const overheadBytes = 128;
const weigh = (chunks: readonly StoredChunk[]): number =>
  chunks.reduce((sum, { length }) => sum + length + overheadBytes, 0);

interface PlainSegment {
  readonly kind: "segment";
  readonly number: number;
  readonly chunks: StoredChunk[];
}

/** The same rules over plain lists, gone through from the front each time. */
class PlainBacklog {
  readonly #max: number;
  readonly #segmentMax: number;
  #parts: (PlainSegment | Gap)[] = [];
  #handedOut = 0;
  #lastSegment = 0;

  constructor(max: number, segmentMax: number) {
    this.#max = max;
    this.#segmentMax = segmentMax;
  }

  segmentFor(length: number): number {
    const last = this.#parts.at(-1);
    const fits = last?.kind === "segment" && weigh(last.chunks) + length + overheadBytes <= this.#segmentMax;
    if (!fits) this.#lastSegment += 1;
    return this.#lastSegment;
  }

  add(chunk: StoredChunk): void {
    const last = this.#parts.at(-1);
    if (last?.kind === "segment" && last.number === chunk.segment) last.chunks.push(chunk);
    else this.#parts.push({ kind: "segment", number: chunk.segment, chunks: [chunk] });
  }

  addLost(seq: number): void {
    this.#insert(this.#parts.length, { kind: "gap", seq, lastSeq: seq, bytes: 7, atMs: 0, cause: "too_much" });
  }

  has(chunk: StoredChunk): boolean {
    return this.#parts.some((part) => part.kind === "segment" && part.chunks.includes(chunk));
  }

  lose(chunk: StoredChunk): void {
    const { seq, length, atMs } = chunk;
    this.#parts = this.#parts.flatMap((part): (PlainSegment | Gap)[] => {
      if (part.kind === "gap" || !part.chunks.includes(chunk)) return [part];
      const at = part.chunks.indexOf(chunk);
      const gap: Gap = { kind: "gap", seq, lastSeq: seq, bytes: length, atMs, cause: "unreadable" };
      const before = { ...part, chunks: part.chunks.slice(0, at) };
      const after = { ...part, chunks: part.chunks.slice(at + 1) };
      return [before, gap, after].filter((each) => each.kind === "gap" || each.chunks.length > 0);
    });
  }

  leaveOut(): readonly number[] {
    const removed: number[] = [];
    while (this.#weight() > this.#max) {
      const index = this.#middle();
      const segment = this.#parts[index];
      const [first] = segment?.kind === "segment" ? segment.chunks : [];
      if (segment?.kind !== "segment" || first === undefined) break;
      this.#parts.splice(index, 1);
      removed.push(segment.number);
      const bytes = segment.chunks.reduce((sum, { length }) => sum + length, 0);
      const { seq, atMs } = first;
      this.#insert(index, {
        kind: "gap",
        seq,
        lastSeq: segment.chunks.at(-1)?.seq ?? 0,
        bytes,
        atMs,
        cause: "too_much",
      });
    }
    return removed;
  }

  next(seq: number): NextPiece | null {
    for (const part of this.#parts) {
      const found = part.kind === "gap" ? part : part.chunks.find((chunk) => chunk.seq >= seq);
      if (found === undefined || found.seq < seq) continue;
      this.#handedOut = Math.max(this.#handedOut, found.seq);
      return "kind" in found ? found : { kind: "chunk", chunk: found };
    }
    return null;
  }

  delivered(seq: number): readonly number[] {
    const removed: number[] = [];
    this.#parts = this.#parts.flatMap((part): (PlainSegment | Gap)[] => {
      if (part.kind === "gap") return part.seq > seq ? [part] : [];
      const chunks = part.chunks.filter((chunk) => chunk.seq > seq);
      if (chunks.length === 0) removed.push(part.number);
      return chunks.length === 0 ? [] : [{ ...part, chunks }];
    });
    return removed;
  }

  #weight(): number {
    return this.#parts.reduce((sum, part) => sum + (part.kind === "gap" ? 0 : weigh(part.chunks)), 0);
  }

  #middle(): number {
    const gap = this.#parts.findIndex((part) => part.kind === "gap" && part.seq > this.#handedOut);
    if (gap >= 0 && gap < this.#parts.length - 2 && this.#parts[gap + 1]?.kind === "segment") return gap + 1;
    let before = 0;
    let fallback = -1;
    for (const [index, part] of this.#parts.entries()) {
      if (part.kind === "gap" || index === this.#parts.length - 1) continue;
      const isFree = (part.chunks[0]?.seq ?? 0) > this.#handedOut;
      if (isFree && before + weigh(part.chunks) > this.#max / 2) return index;
      if (isFree) fallback = index;
      before += weigh(part.chunks);
    }
    return fallback;
  }

  #insert(index: number, gap: Gap): void {
    const before = this.#parts[index - 1];
    const joins = before?.kind === "gap" && before.cause === gap.cause && before.seq > this.#handedOut;
    if (joins) this.#parts[index - 1] = { ...before, lastSeq: gap.lastSeq, bytes: before.bytes + gap.bytes };
    else this.#parts.splice(index, 0, gap);
  }
}

type Step =
  | { readonly kind: "write"; readonly length: number }
  | { readonly kind: "lost" }
  /** Pieces are read on from the last one that was. */
  | { readonly kind: "read"; readonly count: number }
  /** So many of those read are delivered. */
  | { readonly kind: "delivered"; readonly count: number }
  /** A new stream begins with the first that is not delivered. */
  | { readonly kind: "anew" }
  | { readonly kind: "lose" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("write" as const), length: fc.nat({ max: 600 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lost" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("read" as const), count: fc.nat({ max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delivered" as const), count: fc.nat({ max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("anew" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const) }) },
);

function chunkOf(seq: number, segment: number, length: number): StoredChunk {
  return { seq, source: "stdout", atMs: seq * 10, segment, offset: 0, length };
}

describe("Backlog", () => {
  it("I9: answers as plain lists do, whatever is written, read, delivered and lost", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const [real, plain] = [new Backlog(6_000, 1_000), new PlainBacklog(6_000, 1_000)];
        const both = <T>(ask: (backlog: Backlog | PlainBacklog) => T): T => {
          const answer = ask(real);
          expect(answer).toEqual(ask(plain));
          return answer;
        };
        let [written, read, delivered] = [0, 0, 0];
        let last: StoredChunk | null = null;
        for (const one of steps) {
          if (one.kind === "write") {
            written += 1;
            const chunk = chunkOf(
              written,
              both((backlog) => backlog.segmentFor(one.length)),
              one.length,
            );
            both((backlog) => backlog.add(chunk));
            both((backlog) => backlog.leaveOut());
          } else if (one.kind === "lost") {
            written += 1;
            const seq = written;
            both((backlog) => (backlog instanceof Backlog ? backlog.addLost(seq, 7, 0) : backlog.addLost(seq)));
          } else if (one.kind === "read") {
            for (let count = 0; count < one.count; count += 1) {
              const from = read + 1;
              const piece = both((backlog) => backlog.next(from));
              if (piece === null) break;
              last = piece.kind === "chunk" ? piece.chunk : null;
              read = piece.kind === "chunk" ? piece.chunk.seq : piece.seq;
            }
          } else if (one.kind === "delivered") {
            delivered = Math.min(read, delivered + one.count);
            const until = delivered;
            both((backlog) => backlog.delivered(until));
          } else if (one.kind === "anew") {
            read = delivered;
          } else if (last !== null) {
            const chunk = last;
            if (both((backlog) => backlog.has(chunk))) both((backlog) => backlog.lose(chunk));
          }
        }
        both((backlog) => backlog.delivered(written));
        expect(real.isEmpty).toBe(true);
      }),
    );
  });

  it("I9: many thousand small pieces cost a few looks each", () => {
    let looks = 0;
    const backlog = new Backlog(4 * 1_048_576, 4 * 1_048_576);
    const total = 20_000;
    for (let seq = 1; seq <= total; seq += 1) {
      const chunk = chunkOf(seq, backlog.segmentFor(1), 1);
      Object.defineProperty(chunk, "seq", {
        get() {
          looks += 1;
          return seq;
        },
      });
      backlog.add(chunk);
      backlog.leaveOut();
    }
    // As it is sent: a window ahead of what was delivered.
    for (let seq = 1; seq <= total; seq += 1) {
      expect(backlog.next(seq)?.kind).toBe("chunk");
      if (seq % 1_000 === 0) backlog.delivered(seq - 500);
    }
    expect(looks / total).toBeLessThan(40);
  });
});
