import { createDeferred } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import { KeyedChains } from "./keyed-chains.ts";

describe("KeyedChains", () => {
  it("keeps the order of a key, and lets others pass", async () => {
    const chains = new KeyedChains(10, 10);
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
    const chains = new KeyedChains(2, 10);
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

  it("takes more while what is in work is set aside with all that follows of it, up to a bound of its own", async () => {
    const chains = new KeyedChains(2, 3);
    const gate = createDeferred();
    const held = (): Promise<void> => gate.promise;
    expect(chains.add("locked", held)).toBeUndefined();
    const full = chains.add("locked", held);
    expect(full).toBeInstanceOf(Promise);
    chains.setAside("locked");
    await full;
    expect([chains.pending, chains.has("locked")]).toEqual([0, true]);
    expect(chains.addLoose("locked", held)).toBeUndefined();
    // Beyond its bound it counts as all else.
    expect(chains.add("locked", held)).toBeUndefined();
    expect(chains.add("b", held)).toBeInstanceOf(Promise);
    gate.resolve();
    await chains.idle();
    expect([chains.pending, chains.has("locked")]).toEqual([0, false]);
  });

  it("has one of a key aside that nobody waits for, and none where there is no room", async () => {
    const chains = new KeyedChains(1, 1);
    const gate = createDeferred();
    expect(chains.addAside("a", () => gate.promise)).toBe(true);
    expect(chains.addAside("a", () => gate.promise)).toBe(false);
    expect(chains.addAside("b", () => gate.promise)).toBe(false);
    expect(chains.pending).toBe(0);
    gate.resolve();
    await chains.idle();
    expect(chains.addAside("b", () => Promise.resolve())).toBe(true);
    await chains.idle();
  });
});
