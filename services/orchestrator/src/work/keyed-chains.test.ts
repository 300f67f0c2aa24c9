import { createDeferred } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import { KeyedChains } from "./keyed-chains.ts";

describe("KeyedChains", () => {
  it("keeps the order of a key, and lets others pass", async () => {
    const chains = new KeyedChains(10);
    const gate = createDeferred();
    const done: string[] = [];
    const note = (text: string) => () => Promise.resolve().then(() => void done.push(text));
    await chains.add("a", () => gate.promise.then(() => void done.push("a1")));
    await chains.add("a", note("a2"));
    await chains.add("b", note("b1"));
    await Promise.resolve();
    await Promise.resolve();
    expect(done).toEqual(["b1"]);
    gate.resolve();
    await chains.idle();
    expect(done).toEqual(["b1", "a1", "a2"]);
    expect(chains.pending).toBe(0);
  });

  it("holds the next one back while as many are in work as may be", async () => {
    const chains = new KeyedChains(2);
    const gate = createDeferred();
    let taken = 0;
    const adding = (async () => {
      for (let n = 0; n < 3; n += 1) {
        await chains.add(String(n), () => gate.promise);
        taken += 1;
      }
    })();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(taken).toBe(1);
    gate.resolve();
    await adding;
    await chains.idle();
    expect(taken).toBe(3);
  });
});
