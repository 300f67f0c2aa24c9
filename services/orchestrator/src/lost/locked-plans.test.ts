import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { LockedPlans } from "./locked-plans.ts";

/** `inUse`: what somebody has locked; `asked`: of whom it was asked, question by question. */
function setUp() {
  const inUse = new Set<string>();
  const asked: (readonly string[])[] = [];
  const logger = captureLogger();
  const ports = manualPorts();
  const attemptsInUse = (attemptIds: readonly string[]): Promise<ReadonlySet<string>> => {
    asked.push(attemptIds);
    return Promise.resolve(new Set(attemptIds.filter((attemptId) => inUse.has(attemptId))));
  };
  const plans = new LockedPlans({ store: { attemptsInUse }, clock: ports.clock, logger });
  const told = () => logger.records.map(({ level, fields }) => `${level} ${String(fields["plan_id"])}`);
  return { inUse, asked, ports, plans, told };
}

const attempt = (attemptId: string, planId: string) => ({ attemptId, planId });

it("a plan is left out from when one of its attempts is locked until none of those that were is", async () => {
  const { inUse, ports, plans } = setUp();
  inUse.add("a").add("b");
  await plans.ask([attempt("a", "P"), attempt("b", "P"), attempt("c", "P"), attempt("d", "Q")]);
  expect([plans.has("P"), plans.has("Q")]).toEqual([true, false]);
  inUse.delete("a");
  expect(await plans.stillLocked()).toEqual(["P"]);
  inUse.delete("b");
  await plans.stillLocked();
  await ports.advance(10_000);
  expect(await plans.stillLocked()).toEqual([]);
  expect(plans.has("P")).toBe(false);
});

it("nobody is asked about twice in one sweep, and the store not at all where nothing is due", async () => {
  const { inUse, asked, plans } = setUp();
  expect(await plans.stillLocked()).toEqual([]);
  await plans.ask([]);
  expect(asked).toEqual([]);
  inUse.add("a");
  await plans.ask([attempt("a", "P")]);
  inUse.delete("a");
  await plans.stillLocked();
  inUse.add("a");
  await plans.ask([attempt("a", "P"), attempt("b", "Q")]);
  expect(asked).toEqual([["a"], ["a"], ["b"]]);
  expect(plans.has("P")).toBe(false);
});

it("that a plan is busy is not told; that it is locked is told once after ten seconds, and that it is free again", async () => {
  const { inUse, ports, plans, told } = setUp();
  inUse.add("a");
  await plans.ask([attempt("a", "P")]);
  inUse.clear();
  await plans.stillLocked();
  expect(told()).toEqual([]);
  inUse.add("a");
  await plans.stillLocked();
  await plans.ask([attempt("a", "P")]);
  await ports.advance(10_000);
  await plans.stillLocked();
  await plans.stillLocked();
  expect(told()).toEqual(["warn P"]);
  inUse.clear();
  await plans.stillLocked();
  await ports.advance(10_000);
  await plans.stillLocked();
  expect(told()).toEqual(["warn P", "info P"]);
});

it("DESIGN 5: a plan that was locked for long is left out until what its agents have said of it has had its turn", async () => {
  const { inUse, ports, plans } = setUp();
  inUse.add("a");
  await plans.ask([attempt("a", "P")]);
  await ports.advance(10_000);
  await plans.stillLocked();
  inUse.clear();
  expect(await plans.stillLocked()).toEqual(["P"]);
  // As long as what waits for a lock sleeps between two tries.
  await ports.advance(8_500);
  expect(await plans.stillLocked()).toEqual(["P"]);
  await ports.advance(1_500);
  expect(await plans.stillLocked()).toEqual([]);
});

it("DESIGN 5: so it is of one that was locked at two looks, however soon after, and not of one that was busy at one", async () => {
  const { inUse, ports, plans, told } = setUp();
  inUse.add("a").add("b");
  await plans.ask([attempt("a", "P"), attempt("b", "Q")]);
  inUse.delete("b");
  expect(await plans.stillLocked()).toEqual(["P"]);
  inUse.clear();
  expect(await plans.stillLocked()).toEqual(["P"]);
  await ports.advance(10_000);
  expect(await plans.stillLocked()).toEqual([]);
  expect(told()).toEqual([]);
});

it("DESIGN 5: its rest ends, however busy the plan is by then, and what is lost of it is tried", async () => {
  const { inUse, ports, plans } = setUp();
  inUse.add("a");
  await plans.ask([attempt("a", "P")]);
  for (let look = 0; look < 12; look += 1) {
    await ports.advance(1_000);
    await plans.stillLocked();
  }
  inUse.clear();
  await plans.stillLocked();
  inUse.add("a");
  for (let look = 0; look < 9; look += 1) {
    await ports.advance(1_000);
    expect(await plans.stillLocked()).toEqual(["P"]);
  }
  await ports.advance(1_000);
  expect(await plans.stillLocked()).toEqual([]);
  await plans.ask([attempt("a", "P")]);
  expect(plans.has("P")).toBe(false);
});

it("what was waited for in vain is told at once, and the others of its plan are left out", async () => {
  const { ports, plans, told } = setUp();
  plans.leaveOut(attempt("a", "P"), new Error("a lock"));
  expect(plans.has("P")).toBe(true);
  expect(told()).toEqual(["warn P"]);
  expect(await plans.stillLocked()).toEqual(["P"]);
  await ports.advance(10_000);
  expect(await plans.stillLocked()).toEqual([]);
});
