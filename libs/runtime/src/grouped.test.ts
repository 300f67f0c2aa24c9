import { describe, expect, it } from "vitest";
import { Grouped } from "./grouped.ts";

const fulfilled = <T>(value: T): PromiseSettledResult<T> => ({ status: "fulfilled", value });

function grouped(options: { max?: number; maxWaiting?: number; keyOf?: (item: number) => string | null } = {}) {
  const groups: number[][] = [];
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const group = new Grouped<number, number>({
    max: 10,
    maxWaiting: 100,
    ...options,
    makeBusyError: () => new Error("busy"),
    async run(items) {
      groups.push([...items]);
      if (groups.length === 1) await gate;
      return items.map((item) => fulfilled(item * 2));
    },
  });
  return { group, groups, release };
}

describe("Grouped", () => {
  it("what comes while a group is at work goes together in the next", async () => {
    const { group, groups, release } = grouped();
    const first = group.submit(1);
    await Promise.resolve();
    await Promise.resolve();
    const rest = [2, 3, 4].map((item) => group.submit(item));
    release();
    expect(await Promise.all([first, ...rest])).toEqual([2, 4, 6, 8]);
    expect(groups).toEqual([[1], [2, 3, 4]]);
  });

  it("no group is larger than its bound, and order is kept", async () => {
    const { group, groups, release } = grouped({ max: 2 });
    release();
    await Promise.all([1, 2, 3, 4, 5].map((item) => group.submit(item)));
    expect(groups).toEqual([[1, 2], [3, 4], [5]]);
  });

  it("items of one key never share a group", async () => {
    const { group, groups, release } = grouped({ keyOf: (item) => (item < 3 ? "same" : null) });
    release();
    await Promise.all([1, 2, 3].map((item) => group.submit(item)));
    expect(groups).toEqual([[1, 3], [2]]);
  });

  it("one too many is refused", async () => {
    const { group, release } = grouped({ maxWaiting: 1 });
    const kept = group.submit(1);
    await expect(group.submit(2)).rejects.toThrow("busy");
    release();
    await kept;
  });

  it("a group that fails fails its items, and the next one runs", async () => {
    let runs = 0;
    const group = new Grouped<number, number>({
      max: 1,
      maxWaiting: 10,
      makeBusyError: () => new Error("busy"),
      run: (items) => {
        runs += 1;
        return runs === 1 ? Promise.reject(new Error("away")) : Promise.resolve(items.map(fulfilled));
      },
    });
    const [one, two] = [group.submit(1), group.submit(2)];
    await expect(one).rejects.toThrow("away");
    expect(await two).toBe(2);
    await group.idle();
  });

  it("where a failure is not that of all, each is tried alone", async () => {
    const group = new Grouped<number, number>({
      max: 10,
      maxWaiting: 10,
      isForAll: () => false,
      makeBusyError: () => new Error("busy"),
      run: (items) =>
        items.includes(2) ? Promise.reject(new Error("poison")) : Promise.resolve(items.map((item) => fulfilled(item))),
    });
    const results = await Promise.allSettled([1, 2, 3].map((item) => group.submit(item)));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });
});
