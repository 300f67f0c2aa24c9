import { silentLogger } from "@headroom/runtime";
import { captureLogger, manualPorts, waitFor } from "@headroom/testing";
import { expect, it } from "vitest";
import { createAvoidedAgents } from "../placing/avoided-agents.ts";
import type { DueAttempts, DueLimits } from "../store/port.ts";
import { DependentsLockedError } from "../store/row-locked.ts";
import { createSweep, type SweepOptions } from "./sweep.ts";

type Found = Omit<DueAttempts, "nowMs"> & Partial<Pick<DueAttempts, "nowMs">>;

interface Finder extends Pick<SweepOptions["store"], "loseAttempt"> {
  findDueAttempts(limits: DueLimits): Promise<Found>;
}

/** Nobody has locked anything, and no room is to be renewed. The database's clock is this one, unless told otherwise. */
function sweepOf(store: Finder, ports: SweepOptions["ports"], logger: SweepOptions["logger"]) {
  return createSweep({
    store: {
      attemptsInUse: () => Promise.resolve(new Set()),
      takeBackUnsent: () => Promise.resolve(null),
      noteReservationsRenewed: () => Promise.resolve(),
      findDueAttempts: async (limits) => ({ nowMs: ports.clock.now(), ...(await store.findDueAttempts(limits)) }),
      loseAttempt: (attempt, graceMs, decide) => store.loseAttempt(attempt, graceMs, decide),
    },
    registry: { renew: () => Promise.resolve([]) },
    settle: () => undefined,
    avoided: createAvoidedAgents(ports.clock),
    ports,
    logger,
    errorDelayMs: 1_000,
  });
}

it("room that waits for an answer is kept before anything is settled: that may wait for a locked plan", async () => {
  const ports = manualPorts();
  const steps: string[] = [];
  const attempt = (attemptId: string) =>
    ({ attemptId, planId: attemptId, agentId: "one" }) as DueAttempts["lost"][number];
  let unlock: () => void = () => undefined;
  const waits = (step: string) => () => {
    steps.push(step);
    return new Promise<null>((resolve) => (unlock = () => resolve(null)));
  };
  const sweep = createSweep({
    store: {
      findDueAttempts: () =>
        Promise.resolve({ undelivered: [attempt("a")], lost: [attempt("b")], unanswered: [attempt("c")], nowMs: 0 }),
      attemptsInUse: () => Promise.resolve(new Set()),
      takeBackUnsent: waits("take back"),
      loseAttempt: waits("lose"),
      noteReservationsRenewed: () => Promise.resolve(),
    },
    registry: {
      renew(attempts) {
        steps.push(`renew ${attempts.map(({ attemptId }) => attemptId).join(", ")}`);
        return Promise.resolve([]);
      },
    },
    settle: () => undefined,
    avoided: createAvoidedAgents(ports.clock),
    ports,
    logger: silentLogger,
    errorDelayMs: 1_000,
  });
  await sweep.start();
  await waitFor(() => steps.length === 2);
  unlock();
  await waitFor(() => steps.length === 3);
  unlock();
  await sweep.stop();
  expect(steps).toEqual(["renew c", "take back", "lose"]);
});

it("after one attempt was waited for in vain the others of its plan are left out; those of other plans are settled", async () => {
  const tried: string[] = [];
  const [first, second, other] = ["a", "b", "c"].map((attemptId) => {
    return { attemptId, planId: attemptId === "c" ? "Q" : "P", agentId: "one" } as DueAttempts["lost"][number];
  });
  const ports = manualPorts();
  const sweep = sweepOf(
    {
      findDueAttempts: () => Promise.resolve({ undelivered: [], lost: [first!, second!, other!], unanswered: [] }),
      loseAttempt({ attemptId }) {
        tried.push(attemptId);
        if (attemptId !== "a") return Promise.resolve(null);
        return Promise.reject(Object.assign(new Error("lock timeout"), { code: "55P03" }));
      },
    },
    ports,
    silentLogger,
  );
  await sweep.start();
  await waitFor(() => tried.length === 2);
  await sweep.stop();
  expect(tried).toEqual(["a", "c"]);
});

it("attempts behind whose tasks something is locked wait by themselves, however many: all others are settled, and each is told of once", async () => {
  const tried: string[] = [];
  const kept = Array.from({ length: 600 }, (_, n) => ({ attemptId: `kept ${n}`, planId: "P", agentId: "one" }));
  let due = [
    ...kept,
    { attemptId: "of P", planId: "P", agentId: "one" },
    { ...kept[0]!, attemptId: "of Q", planId: "Q" },
  ];
  const ports = manualPorts();
  const logger = captureLogger();
  const sweep = sweepOf(
    {
      findDueAttempts({ limit, exceptLostIds }) {
        const lost = due.filter(({ attemptId }) => !exceptLostIds.includes(attemptId)).slice(0, limit);
        return Promise.resolve({ undelivered: [], lost: lost as unknown as DueAttempts["lost"], unanswered: [] });
      },
      loseAttempt({ attemptId }) {
        tried.push(attemptId);
        if (attemptId.startsWith("kept")) return Promise.reject(new DependentsLockedError(attemptId));
        due = due.filter((one) => one.attemptId !== attemptId);
        return Promise.resolve(null);
      },
    },
    ports,
    logger,
  );
  await sweep.start();
  for (let second = 0; second < 600; second += 1) await ports.advance(1_000);
  await sweep.stop();
  expect(due.map(({ attemptId }) => attemptId)).toEqual(kept.map(({ attemptId }) => attemptId));
  // Ten a second at most: each costs much.
  expect(tried.length).toBeLessThanOrEqual(6_100);
  const told = logger.records.map(({ fields }) => fields["attempt_id"]);
  expect(new Set(told).size).toBe(told.length);
  expect(told).toContain("kept 0");
});

it("a schema of another version is no attempt's fault: the first that meets it ends the round, which is told once", async () => {
  const tried: string[] = [];
  const lost = ["a", "b", "c"].map((attemptId) => {
    return { attemptId, planId: attemptId, agentId: "one" } as DueAttempts["lost"][number];
  });
  const ports = manualPorts();
  const logger = captureLogger();
  const sweep = sweepOf(
    {
      findDueAttempts: () => Promise.resolve({ undelivered: [], lost, unanswered: [] }),
      loseAttempt({ attemptId }) {
        tried.push(attemptId);
        return Promise.reject(Object.assign(new Error("no such column"), { code: "42703" }));
      },
    },
    ports,
    logger,
  );
  await sweep.start();
  await ports.advance(0);
  await sweep.stop();
  expect(tried).toEqual(["a"]);
  expect(logger.records.map(({ level }) => level)).toEqual(["warn"]);
});

it("what the database's clock, set ahead, says of leases is left alone, and told once; from then on leases count anew", async () => {
  const ports = manualPorts();
  const logger = captureLogger();
  const tried: string[] = [];
  const asked: (number | null)[] = [];
  let aheadMs = 0;
  const lost = [{ attemptId: "a", planId: "P", agentId: "one" }] as unknown as DueAttempts["lost"];
  const sweep = sweepOf(
    {
      findDueAttempts({ clockSetAgoMs }) {
        asked.push(clockSetAgoMs);
        return Promise.resolve({
          undelivered: [],
          lost: aheadMs === 0 ? [] : lost,
          unanswered: [],
          nowMs: ports.clock.now() + aheadMs,
        });
      },
      loseAttempt({ attemptId }) {
        tried.push(attemptId);
        return Promise.resolve(null);
      },
    },
    ports,
    logger,
  );
  await sweep.start();
  await ports.advance(0);
  aheadMs = 600_000;
  await ports.advance(1_500);
  expect([asked.length, tried]).toEqual([2, []]);
  await ports.advance(1_500);
  await sweep.stop();
  expect(tried).toEqual(["a"]);
  expect(asked.slice(0, 2)).toEqual([null, null]);
  expect(asked[2]).toBeGreaterThan(800);
  expect(logger.records.map(({ fields }) => fields["set_ahead_by_ms"])).toEqual([600_000]);
});
