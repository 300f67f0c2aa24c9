import { captureLogger } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { ByPlan } from "./by-plan.ts";

const failure = (code: string): Error => Object.assign(new Error(code), { code, severity: "ERROR" });
const lockTimeout = failure("55P03");

/** A store in which these plans are locked, or refuse what is written of them. */
function desk(locked: Set<string>, refused: ReadonlySet<string> = new Set()) {
  const tried: string[] = [];
  const written: string[] = [];
  const logger = captureLogger();
  const byPlan = new ByPlan({
    store: { plansInUse: (planIds) => Promise.resolve(new Set(planIds.filter((planId) => locked.has(planId)))) },
    logger,
  });
  const write = (plans: string): Promise<ReadonlySet<string>> =>
    byPlan.write(
      plans.split(""),
      (plan) => plan,
      (group) => {
        tried.push(group.join(""));
        if (group.some((plan) => locked.has(plan))) return Promise.reject(lockTimeout);
        if (group.some((plan) => refused.has(plan))) return Promise.reject(failure("23514"));
        written.push(...group);
        return Promise.resolve();
      },
    );
  return { write, tried, written, logger };
}

describe("what is written of many plans", () => {
  it("goes together, and nothing else is asked", async () => {
    const { write, tried } = desk(new Set());
    expect(await write("abab")).toEqual(new Set());
    expect(tried).toEqual(["abab"]);
  });

  it("goes without the one that is locked, before that is waited for again; it is told once", async () => {
    const { write, tried, written, logger } = desk(new Set("a"));
    expect(await write("abca")).toEqual(new Set("a"));
    expect(tried).toEqual(["abca", "bc", "aa"]);
    expect(written).toEqual(["b", "c"]);
    expect(await write("ad")).toEqual(new Set("a"));
    expect(tried.slice(3)).toEqual(["d"]);
    expect(logger.records.map(({ fields }) => fields["plan_id"])).toEqual(["a"]);
  });

  it("is tried again with a plan that was locked and is no more", async () => {
    const locked = new Set("a");
    const { write, tried } = desk(locked);
    await write("a");
    locked.clear();
    expect(await write("ab")).toEqual(new Set());
    expect(tried).toEqual(["a", "ab"]);
  });

  it("goes plan by plan when it is no lock that is in the way", async () => {
    const { write, written } = desk(new Set(), new Set("b"));
    expect(await write("abc")).toEqual(new Set("b"));
    expect(written).toEqual(["a", "c"]);
  });

  it("waits for no more than two locks one by one", async () => {
    const { write, tried } = desk(new Set("bcde"));
    expect(await write("abcde")).toEqual(new Set("bcde"));
    expect(tried).toEqual(["abcde", "a", "b", "c"]);
  });

  it.each([
    Object.assign(new Error("Connection terminated"), { code: "ECONNRESET" }),
    Object.assign(new Error("terminating connection"), { code: "57P01", severity: "FATAL" }),
    new RangeError("an answer that cannot be read"),
  ])("is given up as a whole, and not tried again, where it may have been committed: %s", async (thrown) => {
    let calls = 0;
    const plansInUse = (): Promise<ReadonlySet<string>> => Promise.resolve(new Set());
    const byPlan = new ByPlan({ store: { plansInUse }, logger: captureLogger() });
    const writing = byPlan.write(
      ["a", "b"],
      (plan) => plan,
      () => {
        calls += 1;
        return Promise.reject(thrown);
      },
    );
    await expect(writing).rejects.toBe(thrown);
    expect(calls).toBe(1);
  });
});
