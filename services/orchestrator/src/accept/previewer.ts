import { wire } from "@headroom/contracts";
import type { Logger, Ports } from "@headroom/runtime";
import type { PauseReason } from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { KeptRoom } from "../placing/kept-room.ts";
import type { Gate } from "../placing/gate.ts";
import type { RegistryPort } from "../registry/port.ts";
import { cannotBeAsked, refusedAlone } from "../registry/refusal.ts";
import { type NewPause, type NewTask, NO_CALL } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { type TaskNow, whatHolds } from "./acceptor.ts";
import { dryRun } from "./dry-run.ts";
import { expandPlan } from "./expand-plan.ts";
import { planBytes } from "./plan-bytes.ts";
import { validatePlan } from "./validate-plan.ts";

export interface PreviewOptions {
  readonly store: Pick<OrchestratorStore, "queueFronts">;
  readonly fleet: Pick<FleetView, "roomFor" | "snapshot">;
  readonly gate: Gate;
  readonly registry: Pick<RegistryPort, "reserve" | "explain">;
  readonly avoided: Pick<AvoidedAgents, "current">;
  readonly kept: Pick<KeptRoom, "avoidedBy">;
  readonly ports: Ports;
  /** Ageing: what a point of priority is worth in time of waiting. */
  readonly pointMs: number;
  /** How long tasks of a plan of this name took before. */
  readonly expectDurations: (planName: string) => Promise<(taskName: string) => number | null>;
}

/** What one dry run takes. */
const placedAtMost = 1_000;
/** Of what waits for something else, so many shapes are asked about, and so many at once. */
const shapesAtMost = 64;
const shapesAtOnce = 8;

interface Verdict {
  readonly state: "assigned" | "paused";
  readonly reason: PauseReason | null;
  readonly sentence: string;
  readonly agentId: string | null;
}

/** What would become of a plan now, by the same checks, gate, order and placement as its acceptance. Nothing is written. */
export async function previewPlan(
  options: PreviewOptions,
  plan: wire.WorkPlan,
  logger: Logger,
): Promise<readonly TaskNow[]> {
  validatePlan(plan, planBytes(plan).length, options.ports.clock.now());
  const { ports, pointMs } = options;
  const [holds, learnedMs] = await Promise.all([whatHolds(options, plan, logger), options.expectDurations(plan.name)]);
  const known = { requestHash: "", call: NO_CALL, learnedMs, pointMs };
  const { tasks } = expandPlan(plan, null, ports.random, holds, known);
  const startable = tasks.filter(({ pause }) => pause === null);
  // As claims are: among tasks of one moment the higher priority first, then the plan's order.
  const inOrder = startable.toSorted((a, b) => b.priority - a.priority || a.position - b.position);
  const { verdicts, isAway } = await place(options, inOrder, logger);
  // One that gives no sign of life, or has not answered just now, would only keep the caller waiting for longer than it may.
  const canBeAsked = !isAway && options.fleet.snapshot().kind === "up";
  const never = canBeAsked ? await neverFits(options, tasks, logger) : new Map<string, string>();
  return tasks.map(({ taskId, name, shapeKey, pause }) => {
    const verdict = verdicts.get(taskId) ?? paused(pause ?? UNDECIDED);
    const sentence = verdict.state === "paused" ? never.get(shapeKey) : undefined;
    if (sentence === undefined) return { taskId, name, ...verdict };
    return { taskId, name, ...paused({ reason: "NO_AGENT_CAN_EVER_FIT", sentence }) };
  });
}

const UNDECIDED: Pick<NewPause, "reason" | "sentence"> = {
  reason: "AWAITING_TURN",
  sentence: `It starts after the first ${placedAtMost} tasks of the plan, as far as there is room: a preview looks no further.`,
};

function paused({ reason, sentence }: Pick<NewPause, "reason" | "sentence">): Verdict {
  return { state: "paused", reason, sentence, agentId: null };
}

interface WouldPlace {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** The registry could not be asked. */
  readonly isAway: boolean;
}

/** Each task with what the registry would answer, all of one draft: what one takes, the next does not get. */
async function place(options: PreviewOptions, tasks: readonly NewTask[], logger: Logger): Promise<WouldPlace> {
  const verdicts = new Map<string, Verdict>();
  if (tasks.length === 0) return { verdicts, isAway: false };
  const { answered, refused, away } = await dryRun(options, tasks.slice(0, placedAtMost), logger);
  if (away !== null) {
    const waits = paused({ reason: "REGISTRY_UNAVAILABLE", sentence: cannotBeAsked(away) });
    for (const { taskId } of tasks) verdicts.set(taskId, waits);
  }
  for (const { task, error } of refused) verdicts.set(task.taskId, paused(refusedAlone(error)));
  const withoutRoom = new Map<string, Verdict>();
  for (const { task, outcome } of answered) {
    const { taskId, shapeKey } = task;
    if (outcome.kind === "reserved") {
      const { agentId } = outcome.reservation;
      verdicts.set(taskId, { state: "assigned", reason: null, sentence: "", agentId });
    } else if (outcome.kind === "no_room") {
      const { reason, sentence } = outcome.explanation;
      const verdict = paused({ reason: reason ?? "NO_AGENT_FITS_NOW", sentence });
      withoutRoom.set(shapeKey, verdict);
      verdicts.set(taskId, verdict);
    }
  }
  // Room only shrinks: what is alike and comes later finds none either.
  for (const { taskId, shapeKey } of tasks.slice(placedAtMost)) {
    const verdict = withoutRoom.get(shapeKey);
    if (verdict !== undefined) verdicts.set(taskId, verdict);
  }
  return { verdicts, isAway: away !== null };
}

/** Of tasks that wait for something else first: those that no agent known could ever take, by shape. That is what a person wants to know before. */
async function neverFits(
  { registry }: PreviewOptions,
  tasks: readonly NewTask[],
  logger: Logger,
): Promise<ReadonlyMap<string, string>> {
  const shapes = new Map(tasks.filter(({ pause }) => pause !== null).map((task) => [task.shapeKey, task.needs]));
  const asked = [...shapes].slice(0, shapesAtMost);
  const never = new Map<string, string>();
  for (let start = 0; start < asked.length; start += shapesAtOnce) {
    const answers = asked.slice(start, start + shapesAtOnce).map(async ([shapeKey, needs]) => {
      const { explanation } = await registry.explain(needs, 1);
      if (explanation.verdict === wire.FleetVerdict.FLEET_VERDICT_NEVER) never.set(shapeKey, explanation.sentence);
    });
    try {
      await Promise.all(answers);
    } catch (error) {
      logger.debug({ err: error }, "the registry could not be asked what can never fit");
      break;
    }
  }
  return never;
}
