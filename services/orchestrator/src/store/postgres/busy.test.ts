/** More waits than the database takes: callers are told to come back, as wherever else it is too busy. */
import { type Database, createDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type NewPlan, NO_CALL } from "../model.ts";
import { createAcceptPlan } from "./accept.ts";
import { createReports } from "./reports.ts";

let nobody: Database;
beforeAll(() => {
  nobody = createDatabase({
    // Nothing listens there.
    connection: "postgres://nobody@127.0.0.1:1/none",
    schema: "orchestrator",
    applicationName: "busy",
    logger: silentLogger,
    ports: systemPorts,
  });
});
afterAll(() => nobody.close());

const busy = { status: "rejected", reason: { code: "UNAVAILABLE", reason: "DATABASE_BUSY", retryAfterMs: 1_000 } };

it("the 10,001st plan that waits to be accepted is DATABASE_BUSY", async () => {
  const accept = createAcceptPlan(nobody);
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
  const claimer = { owner: "", leaseMs: 1 };
  const answers = await Promise.allSettled(Array.from({ length: 10_001 }, () => accept(plan, claimer, 0)));
  expect(answers.at(-1)).toMatchObject(busy);
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(0);
  expect(answers[0]).not.toMatchObject(busy);
});

it("the 20,001st report that waits to be written is DATABASE_BUSY", async () => {
  const submit = createReports(nobody);
  const attempt = { attemptId: "0469d56d-2b5a-478c-a20d-2e9b78ac6edb", fence: 1 };
  const report = { kind: "runs", attempt, agentId: attempt.attemptId, startedAtMs: null } as const;
  const answers = await Promise.allSettled(Array.from({ length: 20_001 }, () => submit(report)));
  expect(answers.at(-1)).toMatchObject(busy);
  expect(answers[0]).not.toMatchObject(busy);
});
