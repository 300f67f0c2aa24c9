/** What the conformance tests of an OrchestratorStore are written with. */
import { randomUUID } from "node:crypto";
import type {
  AttemptResult,
  AttemptVerdict,
  ClaimedTask,
  DecideAttempt,
  NewPlan,
  NewTask,
  OrchestratorStore,
} from "@headroom/orchestrator";
import { normalizeNeeds, shapeKey } from "@headroom/scheduling";

export const needs = normalizeNeeds({ cpuMillicores: 1_000 });
export const leaseMs = 60_000;

export function newTask(name: string, overrides: Partial<NewTask> = {}): NewTask {
  return {
    taskId: randomUUID(),
    name,
    position: 0,
    priority: 0,
    needs,
    shapeKey: shapeKey(needs),
    command: { argv: ["true"], env: { SECRET: "s" }, workingDir: null },
    resumeAfterMs: null,
    dependsOnTaskIds: [],
    maxAttempts: 3,
    retryOnFailure: false,
    holdUnknown: false,
    runTimeoutMs: null,
    waitTimeoutMs: null,
    workLeaseMs: 300_000,
    expectedDurationMs: null,
    pause: null,
    ...overrides,
  };
}

export function newPlan(tasks: readonly NewTask[], overrides: Partial<NewPlan> = {}): NewPlan {
  return {
    planId: randomUUID(),
    name: "plan",
    namespace: "default",
    priority: 0,
    labels: { team: "a" },
    requestId: null,
    requestHash: "hash",
    pointMs: 600_000,
    tasks: tasks.map((task, position) => ({ ...task, position })),
    call: { requestId: "", traceparent: "" },
    ...overrides,
  };
}

export const paused = { reason: "FLEET_BELOW_THRESHOLD", sentence: "full", blocked: false } as const;
export const page = { limit: 100, after: null };
export const succeed: (result: AttemptResult) => AttemptVerdict = () => ({
  kind: "final",
  attemptState: "succeeded",
  taskState: "succeeded",
  eventKind: "TASK_SUCCEEDED",
  sentence: "done",
});

/** What was never sent goes back to the queue, as held. */
export const undelivered: DecideAttempt = () => ({
  kind: "requeue",
  attemptState: "undelivered",
  eventKind: "TASK_NOT_DELIVERED",
  reason: "HELD",
  sentence: "not sent",
  resumeAfterMs: null,
  runGivenBack: true,
});

/** A store, two replicas' names, and the usual steps. */
export type StoreDesk = ReturnType<typeof createStoreDesk>;

/** `store`: known once the suite runs. */
export function createStoreDesk(storeNow: () => OrchestratorStore) {
  const owner = randomUUID();
  const other = randomUUID();

  const accept = async (plan: NewPlan, by = owner): Promise<readonly ClaimedTask[]> => {
    const outcome = await storeNow().acceptPlan(plan, { owner: by, leaseMs }, plan.tasks.length);
    if (outcome.kind !== "accepted") throw new Error(`not accepted: ${outcome.kind}`);
    return outcome.claimed;
  };
  const claim = (overrides: Partial<Parameters<OrchestratorStore["claimWaiting"]>[0]> = {}) =>
    storeNow().claimWaiting({
      owner,
      leaseMs,
      shapes: [{ shapeKey: shapeKey(needs), limit: 100 }],
      planId: null,
      exceptPlanIds: [],
      ...overrides,
    });
  const assign = (claimed: readonly ClaimedTask[], agentId: string, sendsNow = true, by = owner) =>
    storeNow().assign(
      claimed.map((one) => ({
        claimed: one,
        agentId,
        amounts: { cpuMillicores: 1_000, memoryMib: 0, cards: [] },
        cardIndexes: [],
        leaseLeftMs: 30_000,
        sendsNow,
      })),
      by,
      "planner",
    );
  const resultOf = (attempt: { attemptId: string; fence: number }, agentId: string): AttemptResult => ({
    attemptId: attempt.attemptId,
    fence: attempt.fence,
    agentId,
    outcome: "exited",
    exitCode: 0,
    signal: "",
    sentence: "",
    startedAtMs: null,
    finishedAtMs: null,
    used: { cpuSeconds: 1.5, memoryPeakMib: 10, gpuVramPeakMib: 0, wallTimeMs: 100 },
    lastOutputSeq: 0,
  });
  const kinds = async (planId: string): Promise<readonly string[]> =>
    ((await storeNow().eventsAfter(planId, 0, 1_000))?.events ?? []).map((event) => event.kind);

  /** A plan of which all is assigned to one agent. */
  const start = async (tasks: readonly NewTask[] = [newTask("a")], sendsNow = true) => {
    const agentId = randomUUID();
    const plan = newPlan(tasks);
    const claimed = await accept(plan);
    const sent = await assign(claimed, agentId, sendsNow);
    const [first] = sent;
    if (first === undefined) throw new Error("nothing was assigned");
    return { agentId, plan, sent, first };
  };

  return {
    get store(): OrchestratorStore {
      return storeNow();
    },
    owner,
    other,
    accept,
    claim,
    assign,
    resultOf,
    kinds,
    start,
  };
}
