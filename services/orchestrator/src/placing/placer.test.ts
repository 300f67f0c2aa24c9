import { HeadroomError, type RpcCode } from "@headroom/rpc";
import { normalizeNeeds, type PauseReason } from "@headroom/scheduling";
import { captureLogger } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import type { RegistryPort } from "../registry/port.ts";
import type { AssignmentToSend, ClaimedTask, NewPark } from "../store/model.ts";
import type { Gate, GateAnswer } from "./gate.ts";
import { createPlacer, type Placed, type PlacerOptions } from "./placer.ts";

const claimed = (taskId: string): ClaimedTask => ({
  taskId,
  planId: "plan",
  taskName: taskId,
  state: "paused",
  needs: normalizeNeeds({ cpuMillicores: 1_000 }),
  shapeKey: "shape",
  priority: 0,
  rank: 1,
  pausedAtMs: 0,
  expectedDurationMs: null,
  attemptId: `attempt of ${taskId}`,
  mayHoldRoom: false,
  fence: 1,
});
const tasksOf = (count: number): ClaimedTask[] =>
  Array.from({ length: count }, (_, index) => claimed(`task-${index + 1}`));

const failed = (code: RpcCode): HeadroomError => new HeadroomError({ code, reason: code, message: `it is ${code}` });

/** `refuses`: throws what the registry answers to a batch with these tasks. */
async function placeWith(
  refuses: (taskIds: readonly string[], call: number) => void,
  tasks: readonly ClaimedTask[],
  times = 1,
  askForPlacing: Gate["askForPlacing"] = () => ({ kind: "open" }) as unknown as GateAnswer,
) {
  const calls: (readonly string[])[] = [];
  const parks: NewPark[] = [];
  const promised: unknown[] = [];
  const logger = captureLogger();
  const reserve: RegistryPort["reserve"] = (requests) => {
    const taskIds = requests.map(({ taskId }) => taskId);
    calls.push(taskIds);
    refuses(taskIds, calls.length);
    return Promise.resolve({
      revision: { instance: "registry", counter: calls.length },
      outcomes: requests.map(({ attemptId, fence }) => ({
        kind: "reserved",
        reservation: {
          attemptId,
          agentId: "agent",
          fence,
          amounts: { cpuMillicores: 1_000, memoryMib: 0, cards: [] },
          state: "unconfirmed",
          leaseLeftMs: 30_000,
          kind: "attempt",
        },
      })),
    } as unknown as Awaited<ReturnType<RegistryPort["reserve"]>>);
  };
  const nothing = (): void => undefined;
  const options = {
    owner: "this",
    store: {
      assign: (assignments: readonly { readonly claimed: ClaimedTask }[]) =>
        Promise.resolve(
          assignments.map((one) => ({ ...one.claimed, agentId: "agent" }) as unknown as AssignmentToSend),
        ),
      park: (given: readonly NewPark[]) => Promise.resolve(parks.push(...given)),
    },
    registry: { reserve },
    fleet: { cardIndex: () => null, asOf: () => 7, promised: (...told: unknown[]) => void promised.push(told) },
    gate: { askForPlacing },
    avoided: { current: () => new Set() },
    kept: { avoidedBy: () => new Set(), noteAssigned: nothing },
    deliverer: { holds: () => true, deliver: nothing },
    releaser: { release: nothing },
    random: { next: () => 0.5 },
    logger,
  } as unknown as PlacerOptions;
  const placer = createPlacer(options);
  for (let time = 1; time < times; time += 1) await placer.place(tasks, "resume-loop");
  const placed: Placed = await placer.place(tasks, "resume-loop");
  return { placed, calls, parks, promised, logger, started: placed.assigned.map(({ taskId }) => taskId) };
}

describe("a batch that is promised room", () => {
  it("takes it off what the watch has told, but for what was promised to an earlier claim", async () => {
    const { promised, started } = await placeWith(
      () => undefined,
      [claimed("new"), { ...claimed("old"), mayHoldRoom: true }],
    );
    expect(started).toEqual(["new", "old"]);
    expect(promised).toEqual([["agent", { cpuMillicores: 1_000, memoryMib: 0, cards: [] }, 7]]);
  });
});

describe("a batch that the gate holds after all", () => {
  const verdict = {
    pause: true,
    reason: "FLEET_BELOW_THRESHOLD",
    threshold: 0.2,
    agentsOnline: 3,
    agentsBelow: 3,
    averageCpuFreePercent: 12.34,
    averageGpuFreePercent: null,
  } as const;
  const open: GateAnswer = { kind: "open", verdict: { ...verdict, pause: false, reason: null } };
  const busy: GateAnswer = { kind: "held", reason: "FLEET_BELOW_THRESHOLD", sentence: "All are busy.", verdict };
  const nobody: GateAnswer = { kind: "held", reason: "NO_AGENT_ONLINE", sentence: "Nobody is there.", verdict };

  it("R-PAUSE-3: the decision is logged with its figures, once until it changes", async () => {
    const answers = [open, busy, busy, busy, nobody, open, open, busy];
    const left = [...answers];
    const { logger, parks } = await placeWith(
      () => undefined,
      tasksOf(2),
      answers.length,
      () => left.shift() ?? open,
    );
    const told = logger.records.filter(({ message }) => message.startsWith("capacity checked"));
    expect(told.map(({ level, message, fields }) => [level, message, fields["reason"]])).toEqual([
      ["info", "capacity checked: pause", "FLEET_BELOW_THRESHOLD"],
      ["info", "capacity checked: pause", "NO_AGENT_ONLINE"],
      ["info", "capacity checked: go", null],
      ["info", "capacity checked: pause", "FLEET_BELOW_THRESHOLD"],
    ]);
    expect(told[0]?.fields).toMatchObject({
      judged: "cpu",
      tasks: 2,
      should_pause: true,
      agents_online: 3,
      agents_below: 3,
      average_cpu_free_percent: 12.3,
      average_gpu_free_percent: null,
      threshold: 0.2,
    });
    expect(parks).toHaveLength(10);
  });
});

describe("a batch that the registry refuses", () => {
  it.each<readonly [RpcCode, PauseReason, string]>([
    ["INVALID_ARGUMENT", "AWAITING_TURN", "refuses"],
    ["RESOURCE_EXHAUSTED", "AWAITING_TURN", "refuses"],
    ["INTERNAL", "REGISTRY_UNAVAILABLE", "fails"],
    ["UNKNOWN", "REGISTRY_UNAVAILABLE", "fails"],
  ])(
    "R-PAUSE-6: is asked for in halves on %s: one task that is refused by itself waits alone",
    async (code, reason, what) => {
      const { placed, parks, logger, started, calls } = await placeWith((taskIds) => {
        if (taskIds.includes("task-3")) throw failed(code);
      }, tasksOf(500));
      expect(started).toEqual(tasksOf(500).flatMap(({ taskId }) => (taskId === "task-3" ? [] : taskId)));
      expect(parks).toMatchObject([{ claimed: { taskId: "task-3" }, reason, attemptIdKept: true }]);
      expect(placed.parked[0]?.sentence).toBe(`The registry ${what} to look for room for it: it is ${code}`);
      expect(placed).toMatchObject({ registryAway: false, revision: { instance: "registry" } });
      expect(calls.length).toBeLessThanOrEqual(1 + 2 * 9);
      const errors = logger.records.filter(({ level }) => level === "error");
      expect(errors).toMatchObject([
        { fields: { task_id: "task-3", plan_id: "plan", attempt_id: "attempt of task-3" } },
      ]);
    },
  );

  it.each<RpcCode>(["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNAUTHENTICATED", "UNIMPLEMENTED"])(
    "R-PAUSE-9: waits as a whole on %s, after one call: the registry is away",
    async (code) => {
      const { placed, parks, calls, logger } = await placeWith(() => {
        throw failed(code);
      }, tasksOf(4));
      expect(calls).toHaveLength(1);
      expect(placed.registryAway).toBe(true);
      expect(parks.map(({ reason, attemptIdKept }) => [reason, attemptIdKept])).toEqual(
        Array.from({ length: 4 }, () => ["REGISTRY_UNAVAILABLE", true]),
      );
      expect(logger.records.some(({ level }) => level === "error")).toBe(false);
    },
  );

  it.each<readonly [RpcCode, readonly number[]]>([
    ["INVALID_ARGUMENT", [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]],
    ["FAILED_PRECONDITION", [30_000, 60_000]],
    // These may pass at any moment.
    ["RESOURCE_EXHAUSTED", [2_000, 4_000]],
    ["INTERNAL", [2_000, 4_000]],
  ])("R-PAUSE-6: on %s one that is refused by itself is tried again later each time", async (code, delays) => {
    const { placed, parks } = await placeWith(
      (taskIds) => {
        if (taskIds.includes("task-1")) throw failed(code);
      },
      tasksOf(2),
      delays.length,
    );
    expect(parks.map(({ resumeAfterMs }) => resumeAfterMs)).toEqual(delays);
    expect([...placed.refusedAlone]).toEqual([["shape", 1]]);
  });

  it("R-PAUSE-6: one that was answered in between is refused for the first time again; a registry that is away makes none late", async () => {
    const { parks } = await placeWith(
      (_, call) => {
        if (call === 2) return;
        throw failed(call === 4 ? "UNAVAILABLE" : "INVALID_ARGUMENT");
      },
      tasksOf(1),
      4,
    );
    expect(parks.map(({ resumeAfterMs }) => resumeAfterMs)).toEqual([30_000, 30_000, undefined]);
  });

  it("R-PAUSE-9: what was promised before the registry went away starts, and all that is left waits", async () => {
    const { placed, parks, started } = await placeWith((taskIds, call) => {
      if (call > 3) throw failed("UNAVAILABLE");
      if (taskIds.includes("task-2")) throw failed("INVALID_ARGUMENT");
    }, tasksOf(4));
    expect(placed.registryAway).toBe(true);
    expect([...started, ...parks.map(({ claimed: { taskId } }) => taskId)].toSorted()).toEqual([
      "task-1",
      "task-2",
      "task-3",
      "task-4",
    ]);
    expect(started).toEqual(["task-1"]);
    expect(parks.map(({ claimed: { taskId } }) => taskId)).toEqual(["task-2", "task-3", "task-4"]);
  });

  it("calls have a bound when all is refused: what was not looked at waits for the next pass", async () => {
    const { placed, calls, parks } = await placeWith(() => {
      throw failed("INVALID_ARGUMENT");
    }, tasksOf(500));
    expect(calls).toHaveLength(256);
    expect(placed.registryAway).toBe(true);
    expect(new Set(parks.map(({ claimed: { taskId } }) => taskId)).size).toBe(500);
    expect(parks.filter(({ reason }) => reason === "AWAITING_TURN").length).toBeGreaterThan(100);
  });
});
