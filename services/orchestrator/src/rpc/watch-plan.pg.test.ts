import { wire } from "@headroom/contracts";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import type { CallContext } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expandPlan } from "../accept/expand-plan.ts";
import { createChangeHub } from "../events/change-hub.ts";
import { orchestratorSchema } from "../store/open-store.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { orchestratorMigrations } from "../store/postgres/migrations/index.ts";
import { createPostgresStore } from "../store/postgres/store.ts";
import type { HandlerDeps } from "./deps.ts";
import { watchPlan } from "./watch-plan.ts";

const keepMs = 30 * 86_400_000;
const { random, timers } = systemPorts;
let test: TestDatabase;
let db: PooledDatabase;
let store: OrchestratorStore;

beforeAll(async () => {
  test = await createTestDatabase({ label: "watch_plan" });
  const shared = { connection: test, schema: orchestratorSchema, logger: silentLogger, ports: systemPorts };
  await migrate({ ...shared, migrations: orchestratorMigrations });
  db = createDatabase({ ...shared, applicationName: "watch-plan-test" });
  store = createPostgresStore(db);
});
afterAll(async () => {
  await db?.close();
  await test?.drop();
});

/** A plan that waits; answers the ids of its events. */
async function waitingPlan(): Promise<{ readonly planId: string; readonly eventIds: readonly number[] }> {
  const tasks = Array.from({ length: 4 }, (_, index) => ({ name: `task-${index}`, command: { argv: ["true"] } }));
  const pause = { reason: "NO_AGENT_ONLINE", sentence: "none", blocked: false } as const;
  const plan = expandPlan(wire.WorkPlan.fromPartial({ name: "watched", tasks }), null, random, () => pause);
  await store.acceptPlan(plan, { owner: random.uuid(), leaseMs: 60_000 }, 0);
  const read = await store.eventsAfter(plan.planId, 0, 100);
  return { planId: plan.planId, eventIds: read?.events.map(({ eventId }) => eventId) ?? [] };
}

async function trimThrough(eventId: number): Promise<void> {
  await test.sql("UPDATE orchestrator.events SET at = at - interval '31 days' WHERE event_id <= $1", [eventId]);
  while ((await store.trimHistory({ ms: keepMs, nowAtMostMs: Number.MAX_SAFE_INTEGER / 1_000 }, 100, [])).isTrimmed)
    continue;
}

/** Watches from that event on; `between` happens behind each look at the plan. */
async function watched(
  planId: string,
  afterEventId: number,
  atMost: number,
  between: () => Promise<void>,
): Promise<readonly number[]> {
  const getPlan: OrchestratorStore["getPlan"] = async (id) => {
    const plan = await store.getPlan(id);
    await between();
    return plan;
  };
  const hub = createChangeHub({ notifier: { notify: () => undefined }, listener: null, timers });
  const handler = watchPlan({ store: { ...store, getPlan }, hub } as unknown as HandlerDeps);
  const call = { signal: new AbortController().signal } as unknown as CallContext;
  const seen: number[] = [];
  for await (const { event } of handler({ planId, afterEventId }, call)) {
    seen.push(event?.eventId ?? 0);
    if (seen.length === atMost) break;
  }
  return seen;
}

it("DESIGN-5: events that retention deletes while a watch looks are told as a gap, and not passed over", async () => {
  const { planId, eventIds } = await waitingPlan();
  const [first = 0, , third = 0, fourth = 0] = eventIds;
  const trimmed = { reason: "EVENTS_TRIMMED", metadata: { first_after_event_id: String(third) } };
  await expect(watched(planId, first, 1, () => trimThrough(third))).rejects.toMatchObject(trimmed);
  // From where nothing is missing, and from what is kept.
  expect(await watched(planId, third, 1, () => Promise.resolve())).toEqual([fourth]);
  expect(await watched(planId, 0, 1, () => Promise.resolve())).toEqual([fourth]);
});

it("a watch from the beginning of which nothing is kept any more misses nothing from then on", async () => {
  const { planId, eventIds } = await waitingPlan();
  const last = eventIds.at(-1) ?? 0;
  await trimThrough(last);
  let looks = 0;
  const between = async (): Promise<void> => {
    looks += 1;
    if (looks !== 2) return;
    await store.cancelPlan(planId, "", "planner");
    await trimThrough(Number.MAX_SAFE_INTEGER);
  };
  await expect(watched(planId, 0, 1, between)).rejects.toMatchObject({ reason: "EVENTS_TRIMMED" });
});
