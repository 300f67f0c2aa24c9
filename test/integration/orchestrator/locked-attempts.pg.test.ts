/** What an agent says of attempts that somebody keeps locked, or their plan: what waits for them, and what becomes of what has waited. */
import {
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { classifyError, createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { nextTurn, silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createStoreDesk, newTask, succeed, undelivered } from "../../conformance/orchestrator-store/desk.ts";

const maxOutputBytes = 1_000;
let database: TestDatabase;
/** Of the store, and of whoever locks. */
let pool: PooledDatabase;
let other: PooledDatabase;
let store: OrchestratorStore;
const desk = createStoreDesk(() => store);

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_locked_attempts" });
  const common = { connection: database.connectionString, logger: silentLogger, schema: orchestratorSchema };
  await migrate({ ...common, migrations: orchestratorMigrations, ports: systemPorts });
  pool = createDatabase({ ...common, applicationName: "locked attempts", ports: systemPorts });
  other = createDatabase({ ...common, applicationName: "locks attempts", ports: systemPorts });
  store = createPostgresStore(pool);
});
beforeEach(async () => {
  await other.knex.raw("TRUNCATE plans CASCADE");
});
afterAll(async () => {
  await pool.close();
  await other.close();
  await database.drop();
});

async function whileOneIsLocked(attemptId: string, meanwhile: () => Promise<void>): Promise<void> {
  const rows = await other.knex.transaction();
  try {
    await rows.raw("SELECT FROM attempts WHERE attempt_id = ? FOR UPDATE", [attemptId]);
    await meanwhile();
  } finally {
    await rows.rollback();
  }
}

async function whileLocked(table: "plans" | "attempts", planId: string, meanwhile: () => Promise<void>): Promise<void> {
  const rows = await other.knex.transaction();
  try {
    await rows.raw(`SELECT FROM ${table} WHERE plan_id = ? FOR UPDATE`, [planId]);
    await meanwhile();
  } finally {
    await rows.rollback();
  }
}

const patienceOf = () => {
  const ended = new AbortController();
  const patience = {
    wasLocked: 0,
    signal: ended.signal,
    end: () => ended.abort(),
    onLocked: () => {
      patience.wasLocked += 1;
    },
  };
  return patience;
};

it("DESIGN 5: output of locked attempts, however many, takes no connection from a renewal: each says at once that it is locked", async () => {
  const { agentId, plan, sent } = await desk.start(Array.from({ length: 25 }, (_, n) => newTask(`t${n}`)));
  const free = await desk.start();
  for (const attempt of [...sent, free.first]) await store.acceptAttempt(attempt, attempt.agentId);
  const piece = { seq: 1, stream: "stdout", atMs: Date.now(), data: Buffer.from("a") } as const;
  const patience = patienceOf();
  await whileLocked("attempts", plan.planId, async () => {
    const outputs = Promise.allSettled(
      sent.map((attempt) => store.appendOutput(attempt, agentId, [piece], maxOutputBytes, patience)),
    );
    const { renewed } = await store.renewLeases([free.first], free.agentId, "never");
    expect(renewed).toHaveLength(1);
    const isOver = outputs.then(() => true);
    const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let mostWaiting = 0;
    while (!(await Promise.race([isOver, nextTurn()])))
      mostWaiting = Math.max(mostWaiting, (await database.sql(waiting)).length);
    expect(mostWaiting).toBeLessThan(3);
    const kinds = (await outputs).map((output) => output.status === "rejected" && classifyError(output.reason).kind);
    expect(kinds).toEqual(sent.map(() => "conflict"));
    expect(patience.wasLocked).toBe(25);
  });
  expect(await store.appendOutput(sent[0] ?? free.first, agentId, [piece], maxOutputBytes, patience)).toBe(1);
});

it("output that finds its attempt locked for a moment waits for it", async () => {
  const { agentId, plan, first } = await desk.start();
  const piece = { seq: 1, stream: "stdout", atMs: Date.now(), data: Buffer.from("a") } as const;
  const patience = patienceOf();
  let output: Promise<number | null> = Promise.resolve(null);
  await whileLocked("attempts", plan.planId, async () => {
    output = store.appendOutput(first, agentId, [piece], maxOutputBytes, patience);
    output.catch(() => undefined);
    await waitFor(() => patience.wasLocked === 1);
  });
  // A machine that is slow enough to let the moment pass finds it free the next time.
  const written = await output.catch(() => store.appendOutput(first, agentId, [piece], maxOutputBytes));
  expect(written).toBe(1);
});

type Meanwhile = (attemptId: string, patience: ReturnType<typeof patienceOf>) => Promise<void>;
const nothing: Meanwhile = () => Promise.resolve();
const sentAgain: Meanwhile = async (attemptId) => {
  expect((await store.takeToSendAgain([attemptId], 60_000)).assignments).toHaveLength(1);
};
const streamEnds: Meanwhile = (_, patience) => Promise.resolve(patience.end());

it.each([
  ["counts when the lock ends", nothing, true],
  ["V8, I7: counts no more when its agent was sent the attempt again, and may run it by now", sentAgain, false],
  ["V8, I7: counts no more when the stream on which it came has ended", streamEnds, false],
] as const)("a refusal that waits for a lock %s", async (_, meanwhile, counts) => {
  const { agentId, plan, first } = await desk.start();
  const refused = { ...first, sentAtMs: await store.lastSentAt(first.attemptId) };
  const patience = patienceOf();
  let refusal: Promise<unknown> = Promise.resolve();
  await whileLocked("plans", plan.planId, async () => {
    refusal = store.undeliver(refused, agentId, undelivered, patience);
    await waitFor(() => patience.wasLocked > 0);
    await meanwhile(first.attemptId, patience);
  });
  expect((await refusal) !== null).toBe(counts);
  expect(await store.openAttempts(agentId)).toHaveLength(counts ? 0 : 1);
});

it("what is to be sent again and is locked is named, for the next time", async () => {
  const { plan, first } = await desk.start();
  await whileLocked("attempts", plan.planId, async () => {
    const again = { assignments: [], inUse: [first.attemptId] };
    expect(await store.takeToSendAgain([first.attemptId], 60_000)).toEqual(again);
  });
  const { assignments, inUse } = await store.takeToSendAgain([first.attemptId], 60_000);
  expect([assignments.map(({ attemptId }) => attemptId), inUse]).toEqual([[first.attemptId], []]);
});

it("a plan is told from one that somebody only works on by waiting for it", async () => {
  const { plan } = await desk.start();
  await whileLocked("plans", plan.planId, async () => {
    expect(await store.isPlanKeptLocked(plan.planId)).toBe(true);
  });
  expect(await store.isPlanKeptLocked(plan.planId)).toBe(false);
});

it("DESIGN 5: an attempt that is locked keeps back neither the reports of its plan's others nor whoever needs the plan, however often it comes again", async () => {
  const { agentId, plan, sent } = await desk.start(Array.from({ length: 4 }, (_, n) => newTask(`t${n}`)));
  const [locked, ...others] = sent;
  if (locked === undefined) throw new Error("nothing was sent");
  for (const attempt of sent) await store.acceptAttempt(attempt, agentId);
  const patience = patienceOf();
  const finish = (attempt: typeof locked) => {
    const result = desk.resultOf(attempt, agentId);
    return store.finishAttempt(result, () => succeed(result), patience);
  };
  await whileOneIsLocked(locked.attemptId, async () => {
    for (const attempt of others) {
      const [refused, written] = await Promise.allSettled([finish(locked), finish(attempt)]);
      expect(refused.status === "rejected" && classifyError(refused.reason).kind).toBe("conflict");
      expect(written).toMatchObject({ status: "fulfilled", value: { verdict: { kind: "final" } } });
      expect(await store.isPlanKeptLocked(plan.planId)).toBe(false);
    }
  });
  expect(await finish(locked)).toMatchObject({ verdict: { kind: "final" } });
});

it("DESIGN 5: what the sweep loses or takes back does not wait in line behind a plan that is locked", async () => {
  const { agentId, plan, first } = await desk.start([newTask("a"), newTask("b")]);
  const patience = patienceOf();
  let accepted: Promise<unknown> = Promise.resolve();
  await whileLocked("plans", plan.planId, async () => {
    accepted = store.acceptAttempt(first, agentId, patience);
    await waitFor(() => patience.wasLocked > 0);
    const swept = await Promise.allSettled([
      store.loseAttempt(first, 30_000, undelivered),
      store.takeBackUnsent(first, undelivered),
    ]);
    for (const one of swept) expect(one.status === "rejected" && classifyError(one.reason).kind).toBe("conflict");
  });
  expect(await accepted).not.toBeNull();
});

it("a lease never steps back: a report that waited for its plan's lock finds a renewal that came after it", async () => {
  const { agentId, first } = await desk.start();
  await store.acceptAttempt(first, agentId);
  await other.knex.raw("UPDATE attempts SET lease_expires_at = now() + interval '10 days' WHERE attempt_id = ?", [
    first.attemptId,
  ]);
  const renewed = await store.workLease(first.attemptId);
  expect(await store.markStarted(first, agentId, Date.now())).toMatchObject({ state: "running" });
  expect((await store.workLease(first.attemptId))?.expiresAtMs).toBe(renewed?.expiresAtMs);
});
