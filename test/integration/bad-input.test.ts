import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { wire } from "@headroom/client";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "../e2e/support/cluster.ts";
import { must, mustFail } from "../e2e/support/results.ts";
import type { Api, BadCase, RestRequest } from "./bad-input-cases.ts";
import { jsonCases, orchestratorCases } from "./bad-input-orchestrator.ts";
import { planCases } from "./bad-input-plans.ts";
import { registryCases } from "./bad-input-registry.ts";
import { failureOf } from "./bad-input-grpc.ts";
import { errorOf, restCall } from "./bad-input-rest.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let api: Api;
let token: string;

beforeAll(async () => {
  cluster = await startCluster({ label: "bad-input" });
  const { channels } = cluster.client;
  api = {
    capacity: await channels.client("registry", wire.CapacityServiceService),
    fleet: await channels.client("registry", wire.FleetServiceService),
    plans: await channels.client("orchestrator", wire.PlanServiceService),
    queue: await channels.client("orchestrator", wire.PauseQueueServiceService),
  };
  token = readFileSync(cluster.tokenFile, "utf8").trim();
}, 90_000);

afterAll(() => cluster?.stop());

// Whatever was sent: the next good request is answered, and nothing bad was kept.
afterEach(async () => {
  expect(must(await cluster.client.fleet.list()).agents).toHaveLength(1);
  expect(must(await cluster.client.queue.status())).toMatchObject({ waitingTasks: 0, runningAttempts: 0 });
});

const httpStatus: Readonly<Partial<Record<BadCase["code"], number>>> = {
  INVALID_ARGUMENT: 400,
  NOT_FOUND: 404,
  UNIMPLEMENTED: 501,
};

async function expectGrpc(bad: BadCase, call: NonNullable<BadCase["grpc"]>): Promise<void> {
  const error = await failureOf(call(api));
  expect(error.code, error.message).toBe(bad.code);
  expect(error.reason).toMatch(bad.reason);
  expect(error.message).toMatch(bad.says);
  if (bad.field !== undefined) expect(error.fieldViolations.map(({ field }) => field)).toContain(bad.field);
}

async function expectRest(bad: BadCase, rest: RestRequest): Promise<void> {
  const answer = await restCall({ ...rest, address: cluster[rest.service].httpAddress, token });
  const error = errorOf(answer);
  expect(answer.status, answer.text).toBe(httpStatus[bad.code]);
  expect(error).toMatchObject({ code: answer.status, status: bad.code });
  expect(error.reason).toMatch(bad.reason);
  expect(error.message).toMatch(bad.says);
  expect(error.request_id).toBe(answer.headers["x-request-id"]);
  if (bad.field !== undefined) expect(error.field_violations.map(({ field }) => field)).toContain(bad.field);
}

describe.each([
  ["registry", registryCases],
  ["plans", planCases],
  ["orchestrator", orchestratorCases],
] as const)("bad input to the %s", (_, cases) => {
  for (const bad of cases) {
    const { grpc, rest } = bad;
    if (grpc !== undefined) it(`R-SHAPE-5 over gRPC: ${bad.name}`, () => expectGrpc(bad, grpc));
    if (rest !== undefined) it(`R-CAP-6 over REST: ${bad.name}`, () => expectRest(bad, rest));
  }
});

describe("bad JSON", () => {
  for (const bad of jsonCases) it(`R-CAP-6: ${bad.name}`, () => expectRest(bad, bad.rest));

  it.each([
    ["half an object", '{"plan": {"name": "x"'],
    ["a list", "[]"],
    ["bytes that are no text", Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ])("R-CAP-6: a body that is %s", async (_, body) => {
    const address = cluster.orchestrator.httpAddress;
    const answer = await restCall({ address, verb: "POST", path: "/api/v1/plans", token, body });
    expect(answer.status, answer.text).toBe(400);
    expect(errorOf(answer)).toMatchObject({ status: "INVALID_ARGUMENT", reason: "MALFORMED_JSON" });
  });
});

describe("the same again", () => {
  it("R-PAUSE-9: a request_id again gives the same plan; with another plan it is refused", async () => {
    const requestId = randomUUID();
    const plan = { name: "again", tasks: [cluster.ledger.task("again")] };
    const first = must(await cluster.client.plans.dispatch(plan, { requestId }));
    const second = must(await cluster.client.plans.dispatch(plan, { requestId }));
    expect(second).toMatchObject({ planId: first.planId, duplicate: true });
    const other = mustFail(await cluster.client.plans.dispatch({ ...plan, name: "other" }, { requestId }));
    expect(other).toMatchObject({ code: "ALREADY_EXISTS", reason: "REQUEST_ID_REUSED" });
    await cluster.planEnd(first.planId);
    expect(cluster.ledger.starts()["again"]).toBe(1);

    const taken = mustFail(
      await cluster.client.plans.dispatch({
        name: "taken",
        tasks: [cluster.ledger.task("taken", { taskId: first.tasks[0]!.taskId })],
      }),
    );
    expect(taken.code).toBe("ALREADY_EXISTS");
    expect(taken.message).toContain(first.tasks[0]!.taskId);
    expect(mustFail(await cluster.client.tasks.cancel(first.tasks[0]!.taskId)).reason).toBe("TASK_ALREADY_FINISHED");
  });
});
