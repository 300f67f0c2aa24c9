/** The schema is of another version: what was to be written together is not tried one by one, for none of it is at fault. */
import type { Database } from "@headroom/postgres";
import { beforeEach, expect, it } from "vitest";
import { type NewPlan, NO_CALL } from "../model.ts";
import { createAcceptPlan } from "./accept.ts";
import { createReports } from "./reports.ts";

let asked = 0;
beforeEach(() => (asked = 0));
const refuse = (): Promise<never> => {
  asked += 1;
  return Promise.reject(Object.assign(new Error("no such column"), { code: "42703" }));
};
const database: Database = {
  schema: "orchestrator",
  query: refuse,
  execute: refuse,
  transaction: refuse,
  ping: () => Promise.resolve(),
  stats: () => ({ used: 0, free: 0, waiting: 0 }),
  close: () => Promise.resolve(),
};

async function refusedTogether(submit: () => Promise<unknown>): Promise<void> {
  const answers = await Promise.allSettled(Array.from({ length: 30 }, submit));
  expect(answers.filter(({ status }) => status === "rejected")).toHaveLength(30);
}

it("plans", async () => {
  const accept = createAcceptPlan(database);
  const plan: NewPlan = {
    planId: "",
    name: "plan",
    namespace: "default",
    priority: 0,
    labels: {},
    requestId: null,
    requestHash: "",
    pointMs: 1,
    tasks: [],
    call: NO_CALL,
  };
  await refusedTogether(() => accept(plan, { owner: "", leaseMs: 1 }, 0));
  expect(asked).toBe(1);
});

it("reports of agents", async () => {
  const submit = createReports(database);
  const attempt = { attemptId: "0469d56d-2b5a-478c-a20d-2e9b78ac6edb", fence: 1 };
  const report = { kind: "runs", attempt, agentId: attempt.attemptId, startedAtMs: null } as const;
  await refusedTogether(() => submit(report));
  expect(asked).toBeLessThan(5);
});
