import { createDeferred, type Deferred } from "@headroom/runtime";
import { expect, it } from "vitest";
import { RowLockedError } from "../row-locked.ts";
import type { Report } from "./reports.ts";
import { ReportsAside } from "./reports-aside.ts";

const reportOf = (attemptId: string): Report => ({
  kind: "runs",
  attempt: { attemptId, fence: 1 },
  agentId: "agent",
  startedAtMs: null,
});

/** Groups that are at work until the test lets them end, by the attempts that are in them. */
function desk() {
  const atWork = new Map<string, Deferred<void>>();
  const runAs =
    (name: string) =>
    async (reports: readonly Report[]): Promise<readonly PromiseFulfilledResult<null>[]> => {
      const group = createDeferred();
      atWork.set(name + reports.map(({ attempt }) => attempt.attemptId).join(" "), group);
      await group.promise;
      return reports.map(() => ({ status: "fulfilled", value: null }));
    };
  const aside = new ReportsAside({
    max: 10,
    maxWaiting: 10,
    makeBusyError: () => new Error("busy"),
    isForAll: (error) => !(error instanceof RowLockedError),
    run: runAs(""),
    runShared: runAs("shared: "),
  });
  const end = (group: string): void => atWork.get(group)?.resolve();
  const fail = (group: string, error: Error): void => atWork.get(group)?.reject(error);
  return { aside, atWork, end, fail, turn: () => new Promise<void>((resolve) => setImmediate(resolve)) };
}

it("no plan waits for another, but those beyond the third share one lane", async () => {
  const { aside, atWork, end, turn } = desk();
  const submit = (planId: string) => aside.submit(planId, reportOf(`of-${planId}`));
  const [a, b, c, d, e] = "abcde".split("").map(submit);
  await turn();
  expect([...atWork.keys()]).toEqual(["of-a", "of-b", "of-c", "shared: of-d of-e"]);
  end("of-b");
  expect(await b).toBeNull();
  expect([aside.has("a"), aside.has("b"), aside.has("d")]).toEqual([true, false, true]);
  for (const group of ["of-a", "of-c", "shared: of-d of-e"]) end(group);
  await Promise.all([a, c, d, e]);
  expect(aside.isEmpty).toBe(true);
});

it("what is told of a plan that waits joins it, in order, and is the next group", async () => {
  const { aside, atWork, end, turn } = desk();
  const first = aside.submit("a", reportOf("1"));
  await turn();
  const rest = ["2", "3"].map((attemptId) => aside.submit("a", reportOf(attemptId)));
  await turn();
  expect([...atWork.keys()]).toEqual(["1"]);
  end("1");
  await first;
  await turn();
  expect([...atWork.keys()]).toEqual(["1", "2 3"]);
  end("2 3");
  await Promise.all(rest);
  expect(aside.isEmpty).toBe(true);
});

it("DESIGN 5: while its plan is locked it waits again with whoever has come, and goes for anything else that is locked", async () => {
  const { aside, atWork, end, fail, turn } = desk();
  const patience = { onLocked: () => undefined, signal: new AbortController().signal };
  const first = aside.submit("a", { ...reportOf("1"), patience });
  await turn();
  const second = aside.submit("a", { ...reportOf("2"), patience });
  fail("1", Object.assign(new Error("the plan"), { code: "55P03" }));
  await turn();
  expect([...atWork.keys()]).toEqual(["1", "2 1"]);
  expect(aside.has("a")).toBe(true);
  fail("2 1", new RowLockedError("the attempt"));
  await turn();
  // Each is tried alone, for it may be the other's.
  end("2");
  expect(await second).toBeNull();
  fail("1", new RowLockedError("the attempt"));
  await expect(first).rejects.toThrow("the attempt");
  expect([aside.isEmpty, aside.tookBefore({ ...reportOf("1"), patience })]).toEqual([true, true]);
});

it("DESIGN 5: of those who share a lane nobody waits again with the others: a plan that is free by then leaves them", async () => {
  const { aside, atWork, fail, turn } = desk();
  const patience = { onLocked: () => undefined, signal: new AbortController().signal };
  for (const planId of "abc") void aside.submit(planId, { ...reportOf(`of-${planId}`), patience });
  const shared = ["d", "e"].map((planId) => aside.submit(planId, { ...reportOf(`of-${planId}`), patience }));
  await turn();
  fail("shared: of-d of-e", Object.assign(new Error("one of the plans"), { code: "55P03" }));
  for (const report of shared) await expect(report).rejects.toThrow("one of the plans");
  await turn();
  expect([...atWork.keys()]).toEqual(["of-a", "of-b", "of-c", "shared: of-d of-e"]);
  expect([aside.has("a"), aside.has("d")]).toEqual([true, false]);
});
