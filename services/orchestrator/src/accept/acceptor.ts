import { wire } from "@headroom/contracts";
import { classifyError } from "@headroom/postgres";
import { HeadroomError, invalidArgument } from "@headroom/rpc";
import type { Logger, Ports } from "@headroom/runtime";
import { needsFromWire } from "@headroom/contracts";
import { type Needs, needsGpu, type PauseReason, type TaskState } from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { ClaimEnds } from "../placing/claim-ends.ts";
import { type Gate, type GateAnswer, logDecision } from "../placing/gate.ts";
import { maxPlacedAtOnce, type Placer } from "../placing/placer.ts";
import {
  type AcceptOutcome,
  type CallTrace,
  type ClaimedTask,
  type NewPause,
  type NewPlan,
  NO_CALL,
} from "../store/model.ts";
import type { Claimer, OrchestratorStore } from "../store/port.ts";
import type { RegistryPort } from "../registry/port.ts";
import { expandPlan, type Holds } from "./expand-plan.ts";
import { hashPlan, planBytes } from "./plan-bytes.ts";
import { queueShape } from "./queue-shape.ts";
import { refuseUnsatisfiable } from "./refuse-unsatisfiable.ts";
import { validatePlan } from "./validate-plan.ts";

export interface AcceptorOptions {
  readonly store: OrchestratorStore;
  readonly fleet: Pick<FleetView, "roomFor" | "snapshot">;
  readonly gate: Gate;
  readonly placer: Placer;
  readonly registry: Pick<RegistryPort, "explain">;
  readonly claimer: Claimer;
  readonly claimEnds: Pick<ClaimEnds, "note">;
  readonly ports: Ports;
  /** Ageing: what a point of priority is worth in time of waiting. */
  readonly pointMs: number;
  /** A task was paused, or could not be placed at once: the loop is to look. */
  readonly wakeLoop: (cause: string) => void;
  readonly planChanged: (planId: string) => void;
  /** How long tasks of a plan of this name took before. */
  readonly expectDurations: (planName: string) => Promise<(taskName: string) => number | null>;
}

/** What became of a task on acceptance. */
export interface TaskNow {
  readonly taskId: string;
  readonly name: string;
  readonly state: TaskState;
  readonly reason: PauseReason | null;
  readonly sentence: string;
  readonly agentId: string | null;
}

export type Accepted =
  | { readonly kind: "accepted"; readonly planId: string; readonly tasks: readonly TaskNow[] }
  /** The request had been accepted before. */
  | { readonly kind: "duplicate"; readonly planId: string };

/** Accepts plans: DESIGN 5. Nothing of an accepted plan is lost, whatever fails afterwards. */
export interface Acceptor {
  accept(request: wire.DispatchPlanRequest, logger: Logger, call?: CallTrace): Promise<Accepted>;
}

export function createAcceptor(options: AcceptorOptions): Acceptor {
  return { accept: (request, logger, call = NO_CALL) => accept(options, request, logger, call) };
}

async function accept(
  options: AcceptorOptions,
  request: wire.DispatchPlanRequest,
  logger: Logger,
  call: CallTrace,
): Promise<Accepted> {
  const { plan } = request;
  if (plan === undefined) throw invalidArgument([{ field: "plan", description: "is missing" }]);
  const requestId = request.requestId === "" ? null : request.requestId.toLowerCase();
  const earlier = requestId === null ? null : await options.store.findRequest(requestId);
  const bytes = planBytes(plan);
  const requestHash = hashPlan(plan, bytes);
  if (earlier !== null) return repeated(options, earlier.planId, earlier.requestHash === requestHash);
  validatePlan(plan, bytes.length, options.ports.clock.now());
  if (request.failUnsatisfiable) await refuseUnsatisfiable(options, plan);

  const { pointMs, ports } = options;
  const [holds, learnedMs] = await Promise.all([whatHolds(options, plan, logger), options.expectDurations(plan.name)]);
  const known = { requestHash, call, learnedMs, pointMs };
  const newPlan = expandPlan(plan, requestId, ports.random, holds, known);
  const outcome = await acceptPlan(options, newPlan);
  switch (outcome.kind) {
    case "request_id_used":
      return repeated(options, outcome.planId, outcome.samePlan);
    case "task_ids_exist":
      throw taskIdsExist(newPlan, outcome.taskIds);
    case "accepted": {
      logAccepted(logger, newPlan);
      const tasks = await placeAccepted(options, newPlan, outcome.claimed, { logger, call });
      options.planChanged(newPlan.planId);
      return { kind: "accepted", planId: newPlan.planId, tasks };
    }
  }
}

async function acceptPlan({ store, claimer, claimEnds }: AcceptorOptions, plan: NewPlan): Promise<AcceptOutcome> {
  try {
    return await store.acceptPlan(plan, claimer, plan.tasks.length);
  } catch (error) {
    // It may have been committed, with its tasks claimed: nobody places them then before that has ended.
    if (classifyError(error).kind === "unavailable") claimEnds.note();
    throw error;
  }
}

/** Whether a time nearer than this has come is for the database to say: this machine's clock may be wrong. */
const clockDoubtMs = 24 * 3_600_000;

/** So many more than the watch has room for: what it says is some milliseconds old, and they hear the registry's own words. */
const triedBeyondRoom = 16;

/** Judges by the watched snapshot, once for each kind of task, and by what waits already. */
export async function whatHolds(
  options: Pick<AcceptorOptions, "ports" | "fleet" | "gate" | "pointMs"> & {
    readonly store: Pick<OrchestratorStore, "queueFronts">;
  },
  plan: wire.WorkPlan,
  logger: Logger,
): Promise<Holds> {
  const nowMs = options.ports.clock.now();
  const { answers, openShapes } = askGate(options.gate, plan);
  for (const [usesGpu, answer] of answers) logDecision(logger, answer, usesGpu ? "gpu" : "cpu", plan.tasks.length);
  // What the gate holds waits whoever is before it.
  const fronts = openShapes.size === 0 ? new Map<string, number>() : await options.store.queueFronts([...openShapes]);
  const turns = new Map<string, number>();
  /** Tasks of a shape that are placed at once; those behind them wait for their turn without a question to the registry. */
  const turnsOf = (key: string, needs: Needs): number => {
    const left = turns.get(key) ?? options.fleet.roomFor(needs, plan.tasks.length) + triedBeyondRoom;
    turns.set(key, left - 1);
    return left;
  };
  return ({ needs, shapeKey: key, priority, resumeAfterMs, dependsOn }): NewPause | null => {
    if (dependsOn.length > 0) {
      return { reason: "DEPENDENCY_PENDING", sentence: `It waits for ${listed(dependsOn)} to succeed.`, blocked: true };
    }
    if (resumeAfterMs !== null && resumeAfterMs > nowMs - clockDoubtMs) {
      return { reason: "RESUME_AFTER", sentence: "It is not tried before its resume_after.", blocked: false };
    }
    const answer = answers.get(needsGpu(needs));
    if (answer?.kind === "held") return { reason: answer.reason, sentence: answer.sentence, blocked: false };
    const leadMs = fronts.get(key);
    const isBehind = leadMs !== undefined && leadMs >= priority * options.pointMs;
    if (!isBehind && turnsOf(key, needs) > 0) return null;
    return { reason: "AWAITING_TURN", sentence: "Tasks with the same needs wait before it.", blocked: false };
  };
}

/** One verdict for tasks that use a GPU and one for those that do not: that is all the gate tells apart. */
function askGate(
  gate: Gate,
  plan: wire.WorkPlan,
): { readonly answers: ReadonlyMap<boolean, GateAnswer>; readonly openShapes: ReadonlySet<string> } {
  const answers = new Map<boolean, GateAnswer>();
  const openShapes = new Set<string>();
  for (const task of plan.tasks) {
    const needs = needsFromWire(task.needs);
    const usesGpu = needsGpu(needs);
    const answer = answers.get(usesGpu) ?? gate.askForPlacing(needs);
    answers.set(usesGpu, answer);
    if (answer.kind === "open") openShapes.add(queueShape(needs));
  }
  return { answers, openShapes };
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => `"${name}"`);
  return names.length > 5 ? `${shown.join(", ")} and ${names.length - 5} more` : shown.join(", ");
}

/** The plan is durable: from here on every failure is only a delay. */
async function placeAccepted(
  options: AcceptorOptions,
  plan: NewPlan,
  claimed: readonly ClaimedTask[],
  { logger, call }: { readonly logger: Logger; readonly call: CallTrace },
): Promise<readonly TaskNow[]> {
  const now = new Map<string, Partial<TaskNow>>();
  try {
    for (let start = 0; start < claimed.length; start += maxPlacedAtOnce) {
      const placed = await options.placer.place(claimed.slice(start, start + maxPlacedAtOnce), "planner", call);
      for (const { taskId, agentId } of placed.assigned) now.set(taskId, { state: "assigned", agentId });
      for (const { taskId, reason, sentence } of placed.parked) now.set(taskId, { state: "paused", reason, sentence });
    }
  } catch (error) {
    logger.error(
      { err: error, plan_id: plan.planId },
      "an accepted plan could not be placed at once: its tasks wait for the loop",
    );
  }
  const tasks = plan.tasks.map(({ taskId, name, pause }): TaskNow => ({
    taskId,
    name,
    state: pause === null ? "pending" : "paused",
    reason: pause?.reason ?? null,
    sentence: pause?.sentence ?? "",
    agentId: null,
    ...now.get(taskId),
  }));
  if (needsLook(options.gate, plan, tasks)) options.wakeLoop("plan accepted");
  if (tasks.some(({ state }) => state === "pending")) options.claimEnds.note();
  return tasks;
}

/**
 * Whether the loop is to look at once. What waits for a dependency is told of by the end of that; what the gate held when it was
 * judged and holds now, after the commit, by the news that open it.
 */
function needsLook(gate: Gate, plan: NewPlan, tasks: readonly TaskNow[]): boolean {
  const heldNow = new Map<boolean, boolean>();
  return tasks.some(({ state, reason }, index) => {
    const task = plan.tasks[index];
    if (state !== "paused" || reason === "DEPENDENCY_PENDING" || task === undefined) return false;
    if (reason === null || !HELD_BY_GATE.has(reason)) return true;
    const usesGpu = needsGpu(task.needs);
    const isHeld = heldNow.get(usesGpu) ?? gate.askForPlacing(task.needs).kind === "held";
    heldNow.set(usesGpu, isHeld);
    return !isHeld;
  });
}

const HELD_BY_GATE: ReadonlySet<PauseReason> = new Set([
  "FLEET_BELOW_THRESHOLD",
  "NO_AGENT_ONLINE",
  "REGISTRY_UNAVAILABLE",
  "HELD",
]);

/** Whoever accepted it may have heard of no commit, and then has told nobody: what waits is looked at now, what is still claimed later. */
function repeated(options: AcceptorOptions, planId: string, samePlan: boolean): Accepted {
  if (samePlan) {
    options.wakeLoop("plan accepted before");
    options.claimEnds.note();
    options.planChanged(planId);
    return { kind: "duplicate", planId };
  }
  throw new HeadroomError({
    code: "ALREADY_EXISTS",
    reason: "REQUEST_ID_REUSED",
    message: `request_id was used for another plan (${planId}): give each plan a request_id of its own`,
    fieldViolations: [{ field: "request_id", description: "was used for another plan" }],
    metadata: { plan_id: planId },
  });
}

function taskIdsExist(plan: NewPlan, taskIds: readonly string[]): HeadroomError {
  const positions = new Map(plan.tasks.map((task) => [task.taskId, task.position]));
  return new HeadroomError({
    code: "ALREADY_EXISTS",
    reason: "TASK_ID_EXISTS",
    message: `a task with the id ${taskIds[0]} exists already: leave task_id empty, or give a new one`,
    fieldViolations: taskIds.slice(0, 50).map((taskId) => ({
      field: `plan.tasks[${positions.get(taskId) ?? 0}].task_id`,
      description: `${taskId} is the id of an earlier task`,
    })),
  });
}

function logAccepted(logger: Logger, plan: NewPlan): void {
  const paused = plan.tasks.filter(({ pause }) => pause !== null);
  logger.info(
    { plan_id: plan.planId, plan_name: plan.name, tasks: plan.tasks.length, paused_tasks: paused.length },
    "plan accepted",
  );
  logger.together(() => {
    for (const { taskId, pause } of paused) {
      logger.info(
        { plan_id: plan.planId, task_id: taskId, reason: pause?.reason, sentence: pause?.sentence },
        "task paused",
      );
    }
  });
}
