import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OutputChunk } from "./model.ts";
import { bytesGone, planOutput, type KeptOutput } from "./output-keeping.ts";

const nothing: KeptOutput = { lastSeq: 0, headLastSeq: null, headBytes: 0, tailBytes: 0 };

const chunk = (seq: number, bytes: number): OutputChunk => ({
  seq,
  stream: "stdout",
  atMs: 0,
  data: Buffer.alloc(bytes, 1),
});

const bytesOf = (chunks: readonly OutputChunk[]): number => chunks.reduce((sum, { data }) => sum + data.byteLength, 0);

/** Keeps as the store does: evicts the oldest of the end, then adds. */
function keepAll(batches: readonly (readonly OutputChunk[])[], maxBytes: number) {
  let kept = nothing;
  const head: OutputChunk[] = [];
  let tail: OutputChunk[] = [];
  for (const batch of batches) {
    const plan = planOutput(kept, batch, maxBytes);
    let toGo = plan.evictBytes;
    while (toGo > 0) toGo -= tail.shift()?.data.byteLength ?? toGo;
    head.push(...plan.head);
    tail = [...tail, ...plan.tail];
    const { lastSeq, headLastSeq } = plan;
    kept = { lastSeq, headLastSeq, headBytes: bytesOf(head), tailBytes: bytesOf(tail) };
  }
  return { head, tail };
}

describe("planOutput", () => {
  it("keeps three quarters of the bound from the beginning, and the newest", () => {
    const { head, tail } = keepAll([Array.from({ length: 100 }, (_, index) => chunk(index + 1, 10))], 200);
    expect(head.map(({ seq }) => seq)).toEqual(Array.from({ length: 15 }, (_, index) => index + 1));
    expect(tail.map(({ seq }) => seq)).toEqual([96, 97, 98, 99, 100]);
  });

  it("the newest piece is kept even when it alone is more than the end may have", () => {
    expect(keepAll([[chunk(1, 50)], [chunk(2, 60)], [chunk(3, 500)]], 100)).toMatchObject({
      head: [{ seq: 1 }],
      tail: [{ seq: 3 }],
    });
  });

  it("a run within the bound is kept whole; of any other, a beginning and an unbroken end, within the bound", () => {
    const sizes = fc.array(fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 8 }), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 64, max: 2_000 }), (batchSizes, maxBytes) => {
        let seq = 0;
        const batches = batchSizes.map((batch) => batch.map((bytes) => chunk((seq += 1), bytes)));
        const { head, tail } = keepAll(batches, maxBytes);
        const numbers = [...head, ...tail].map((one) => one.seq);
        if (bytesOf(batches.flat()) <= maxBytes) expect(numbers).toHaveLength(seq);
        expect(bytesOf([...head, ...tail])).toBeLessThanOrEqual(maxBytes + 64);
        expect(numbers.at(-1)).toBe(seq);
        expect(head.map((one) => one.seq)).toEqual(head.map((_, index) => index + 1));
        expect(tail.map((one) => one.seq)).toEqual(tail.map((_, index) => seq - tail.length + 1 + index));
      }),
    );
  });
});

describe("bytesGone", () => {
  it("counts what a note of the agent says, not the note", () => {
    const note = Buffer.from("3080192 bytes of output left out here: it came faster than it could be stored\n");
    expect(bytesGone("headroom", note, note.length)).toBe(3_080_192);
    expect(bytesGone("headroom", Buffer.from("some output left out here\n"), 26)).toBe(0);
    expect(bytesGone("stdout", null, 7)).toBe(7);
  });

  it("reads a note of nothing but digits in one go", () => {
    const begunMs = performance.now();
    expect(bytesGone("headroom", Buffer.from("1".repeat(100_000)), 100_000)).toBe(0);
    expect(performance.now() - begunMs).toBeLessThan(1_000);
  });
});
