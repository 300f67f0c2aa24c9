/** What commands print is kept once, in order, up to its bound. */
import { randomUUID } from "node:crypto";
import type { OutputStream } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { newTask, type StoreDesk, succeed } from "./desk.ts";

export function outputConformance(desk: StoreDesk): void {
  const { resultOf, start } = desk;

  describe("output of attempts", () => {
    const chunk = (seq: number, text: string, stream: OutputStream = "stdout") => ({
      seq,
      stream,
      atMs: Date.now(),
      data: Buffer.from(text),
    });
    const textsAfter = async (attemptId: string, seq: number, limit = 10) =>
      (await desk.store.readOutput(attemptId, seq, limit)).map((one) => Buffer.from(one.data).toString());

    it("output: kept once, in order and whole up to the bound", async () => {
      const { agentId, first } = await start();
      expect(await desk.store.appendOutput(first, agentId, [chunk(2, "b"), chunk(1, "a")], 4)).toBe(2);
      expect(await desk.store.appendOutput(first, agentId, [chunk(2, "b"), chunk(3, "cd")], 4)).toBe(3);
      expect(
        await desk.store.appendOutput({ attemptId: randomUUID(), fence: 1 }, agentId, [chunk(1, "x")], 4),
      ).toBeNull();
      // An agent speaks only for itself.
      expect(await desk.store.appendOutput(first, randomUUID(), [chunk(4, "forged")], 99)).toBeNull();
      expect(await textsAfter(first.attemptId, 0)).toEqual(["a", "b", "cd"]);
      expect(await textsAfter(first.attemptId, 1)).toEqual(["b", "cd"]);
      expect(await desk.store.outputDroppedBytes(first.attemptId)).toBe(0);
    });

    it("output: an attempt that has ended awaits what its agent told of with the result, until that has come", async () => {
      const { agentId, first, sent } = await start([newTask("a"), newTask("b")]);
      const [, second] = sent;
      if (second === undefined) throw new Error("only one was assigned");
      const awaits = async ({ taskId, attemptId }: typeof first) =>
        (await desk.store.findAttempt(taskId, attemptId))?.awaitsOutput;
      // One ends alone, the other one as its plan does: these are statements of their own.
      for (const attempt of [first, second]) {
        await desk.store.appendOutput(attempt, agentId, [chunk(1, "a")], 4);
        expect(await awaits(attempt)).toBe(false);
        const result = { ...resultOf(attempt, agentId), lastOutputSeq: 3 };
        await desk.store.finishAttempt(result, () => succeed(result));
        expect(await awaits(attempt)).toBe(true);
        await desk.store.appendOutput(attempt, agentId, [chunk(2, "b")], 4);
        expect(await awaits(attempt)).toBe(true);
        // Beyond what is kept: it has come all the same.
        await desk.store.appendOutput(attempt, agentId, [chunk(3, "cdefgh")], 4);
        expect(await awaits(attempt)).toBe(false);
      }
    });

    it("output: beyond the bound beginning and end are kept, with one note in between", async () => {
      const { agentId, first } = await start();
      const { attemptId } = first;
      const piece = (seq: number) => chunk(seq, String(seq).padStart(10, "."));
      for (let seq = 1; seq <= 30; seq += 2) {
        expect(await desk.store.appendOutput(first, agentId, [piece(seq), piece(seq + 1)], 80)).toBe(seq + 1);
        // Whoever follows closely misses nothing, and sees no note.
        expect(await textsAfter(attemptId, seq - 1)).toEqual([seq, seq + 1].map((n) => String(n).padStart(10, ".")));
      }
      const note = expect.stringMatching(/^220 bytes of output left out here/);
      const all = await textsAfter(attemptId, 0);
      expect(all.map((text) => Number(/^\.*(\d+)$/.exec(text)?.[1] ?? -1))).toEqual([1, 2, 3, 4, 5, 6, -1, 29, 30]);
      expect(all[6]).toEqual(note);
      // Page by page the same; and whoever is behind is told.
      expect(await textsAfter(attemptId, 6, 1)).toEqual([note]);
      expect(await textsAfter(attemptId, 20, 2)).toEqual([note, "........29"]);
      const [noteRow] = await desk.store.readOutput(attemptId, 6, 1);
      expect(noteRow).toMatchObject({ seq: 28, stream: "headroom" });
      expect(await textsAfter(attemptId, 28)).toEqual(["........29", "........30"]);
      expect(await desk.store.outputDroppedBytes(attemptId)).toBe(0);
    });

    it("output: what an agent left out is counted in the one note", async () => {
      const { agentId, first } = await start();
      const told = "1000 bytes of output left out here: too fast\n";
      await desk.store.appendOutput(first, agentId, [chunk(1, "a".repeat(70)), chunk(2, told, "headroom")], 80);
      await desk.store.appendOutput(
        first,
        agentId,
        [chunk(9, "b".repeat(30)), chunk(10, "c".repeat(9)), chunk(11, "END")],
        80,
      );
      const texts = await textsAfter(first.attemptId, 0);
      expect(texts).toEqual([
        expect.stringMatching(/^1070 bytes of output left out here/),
        "b".repeat(30),
        "c".repeat(9),
        "END",
      ]);
    });
  });
}
