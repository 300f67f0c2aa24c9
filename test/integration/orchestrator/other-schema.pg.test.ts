/** The schema is of another version than the program, as in the middle of an update: callers are told to try again, and can. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createWorld, planOf, type Running, waitUntil, type World } from "./harness.ts";

let world: World;

beforeAll(async () => {
  world = await createWorld("orch_other_schema");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const waiting = { code: "UNAVAILABLE", reason: "STARTING" };
const calls = (running: Running) => [
  () => running.plans.dispatchPlan(planOf(1)),
  () => running.plans.getTask({ taskId: randomUUID() }).catch(forgiveUnknown),
];
const forgiveUnknown = (error: unknown): void => {
  if (Reflect.get(Object(error), "reason") !== "TASK_NOT_FOUND") throw error;
};

it.each([
  [
    "a column",
    "ALTER TABLE orchestrator.tasks RENAME COLUMN needs TO asks",
    "ALTER TABLE orchestrator.tasks RENAME COLUMN asks TO needs",
  ],
  ["a table", "ALTER TABLE orchestrator.tasks RENAME TO works", "ALTER TABLE orchestrator.works RENAME TO tasks"],
])(
  "DESIGN-6: %s that is not there is UNAVAILABLE (STARTING), no fault of the service, and passes with it",
  async (_what, away, back) => {
    const running = await world.start();
    for (const call of calls(running)) await call();
    await world.sql(away);
    for (const call of calls(running)) await expect(call()).rejects.toMatchObject(waiting);
    await world.sql(back);
    for (const call of calls(running)) await waitUntil(() => call().then(() => true));
  },
);
