import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createDeferred, nextTurn } from "@headroom/runtime";
import { manualPorts, waitFor } from "@headroom/testing";
import { expect, it } from "vitest";
import { BoundedReads } from "./bounded-reads.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

it("DESIGN-6: holds nothing of what it has read, also where somebody waits all the time", async () => {
  const reads = new BoundedReads({ timers: manualPorts().timers, limitMs: 1_000, atOnce: 1, mayHang: 1 });
  const held: WeakRef<object>[] = [];
  const make = (): object => {
    const text = {};
    held.push(new WeakRef(text));
    return text;
  };
  const ends = Array.from({ length: 100 }, () => createDeferred());
  let last: Promise<unknown> = Promise.resolve();
  for (const [n, { promise }] of ends.entries()) {
    last = reads.read(String(n), () => promise.then(make)).then(() => undefined);
    // The one that is under way ends when two wait.
    ends[n - 2]?.resolve();
    await nextTurn();
  }
  expect(held).toHaveLength(98);
  await waitFor(() => {
    if (typeof collectGarbage === "function") collectGarbage();
    return held.every((one) => one.deref() === undefined);
  });
  for (const end of ends) end.resolve();
  await last;
});
