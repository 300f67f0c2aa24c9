/** Which output of a run is kept: the beginning, and the newest, where a program says why it failed. Pure. */
import type { OutputChunk } from "./model.ts";

/** Of the bound, so much is for the beginning; what is left is a ring of the newest. */
const headShare = 0.75;

/** What is kept of a run so far. */
export interface KeptOutput {
  /** Number of the last piece that came. */
  readonly lastSeq: number;
  /** Of the last piece of the beginning; null while it takes more. */
  readonly headLastSeq: number | null;
  readonly headBytes: number;
  readonly tailBytes: number;
}

export interface OutputPlan {
  readonly lastSeq: number;
  readonly headLastSeq: number | null;
  readonly head: readonly OutputChunk[];
  readonly tail: readonly OutputChunk[];
  /** Pieces that are too old for the end before they were stored; they follow all that is stored. */
  readonly leftOut: readonly OutputChunk[];
  /** At least so many bytes of the stored end, the oldest first, make room for `tail`. */
  readonly evictBytes: number;
}

/** Decides on new pieces. A run that writes no more than `maxBytes` is kept whole; the newest piece is always kept. */
export function planOutput(kept: KeptOutput, chunks: readonly OutputChunk[], maxBytes: number): OutputPlan {
  const head: OutputChunk[] = [];
  const tail: OutputChunk[] = [];
  let { lastSeq, headLastSeq, headBytes } = kept;
  for (const chunk of chunks.toSorted((a, b) => a.seq - b.seq)) {
    if (chunk.seq <= lastSeq) continue;
    const length = chunk.data.byteLength;
    if (headLastSeq === null && headBytes + length > maxBytes * headShare) headLastSeq = lastSeq;
    if (headLastSeq === null) {
      head.push(chunk);
      headBytes += length;
    } else {
      tail.push(chunk);
    }
    lastSeq = chunk.seq;
  }
  const tailMaxBytes = Math.max(maxBytes - headBytes, tail.at(-1)?.data.byteLength ?? 0);
  let newBytes = tail.reduce((sum, { data }) => sum + data.byteLength, 0);
  let first = 0;
  while (newBytes > tailMaxBytes) {
    newBytes -= tail[first]?.data.byteLength ?? newBytes;
    first += 1;
  }
  // A ring has no hole: before a new piece is left out, all that is older has gone.
  const evictBytes = first > 0 ? kept.tailBytes : Math.max(0, kept.tailBytes + newBytes - tailMaxBytes);
  return { lastSeq, headLastSeq, head, tail: tail.slice(first), leftOut: tail.slice(0, first), evictBytes };
}

/** No run writes more, 1 TB. What is counted of a run stays a whole number that a bigint takes. */
const mostBytesTold = 1e12;

/** How much output is gone with a piece: itself, or, of an agent's note that it left something out, what the note says. */
export function bytesGone(stream: OutputChunk["stream"], data: Uint8Array | null, lengthBytes: number): number {
  if (stream !== "headroom") return lengthBytes;
  // From the first digit of a row only: trying each would take the square of its length.
  const told = /(?<!\d)(\d+) bytes of output left out/.exec(Buffer.from(data ?? []).toString("utf8"))?.[1];
  return told === undefined ? 0 : Math.min(Number(told), mostBytesTold);
}

/** Our note in place of what is not kept. */
export function leftOutNote(bytes: number): string {
  return `${bytes} bytes of output left out here: the run wrote more than is kept\n`;
}
