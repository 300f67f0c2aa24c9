import type { ReserveOutcome, ReserveRequest } from "@headroom/contracts";
import type { Logger, Random } from "@headroom/runtime";
import { needsGpu, type PauseReason } from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import { askInHalves } from "../registry/ask-in-halves.ts";
import type { FleetRevision, RegistryPort } from "../registry/port.ts";
import { cannotBeAsked, refusedAlone } from "../registry/refusal.ts";
import {
  type Actor,
  type AssignmentToSend,
  type CallTrace,
  type ClaimedTask,
  type FencedAttempt,
  type NewAssignment,
  type NewPark,
  NO_CALL,
} from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import type { AvoidedAgents } from "./avoided-agents.ts";
import { ByPlan } from "./by-plan.ts";
import { ChangedDecisions, type Gate, type GateAnswer } from "./gate.ts";
import type { KeptRoom } from "./kept-room.ts";
import { LaterEachTime } from "./later-each-time.ts";

/** What became of claimed tasks. */
export interface Placed {
  readonly assigned: readonly AssignmentToSend[];
  readonly parked: readonly Parked[];
  /** Shapes for which there is no room now, each with why. */
  readonly shapesWithoutRoom: ReadonlyMap<string, ShapeWithoutRoom>;
  /** Of how many tasks of a shape the registry would not hear by themselves: they wait for later, and say nothing of others of the shape. */
  readonly refusedAlone: ReadonlyMap<string, number>;
  /** The state of the fleet that the registry decided on; null when it was not asked, or could not be. */
  readonly revision: FleetRevision | null;
  /** The registry could not be asked. */
  readonly registryAway: boolean;
}

export interface Held {
  readonly reason: PauseReason;
  readonly sentence: string;
}

export interface ShapeWithoutRoom extends Held {
  /** Agents were left out of the search: there may be room again without that any appears. */
  readonly isForNow: boolean;
}

export interface Parked extends Held {
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
}

/** Hands committed assignments to their agents. */
export interface Deliverer {
  holds(agentId: string): boolean;
  /** The assignments are committed: send those of agents held here, and tell the other replicas of the rest. */
  deliver(assignments: readonly AssignmentToSend[]): void;
}

/** Gives promised room back, now or later; never throws. */
export interface Releaser {
  release(attempts: readonly FencedAttempt[], reason: string): void;
}

export interface PlacerOptions {
  /** This replica. */
  readonly owner: string;
  readonly store: OrchestratorStore;
  readonly registry: RegistryPort;
  readonly fleet: Pick<FleetView, "cardIndex" | "asOf" | "promised">;
  readonly gate: Gate;
  readonly avoided: AvoidedAgents;
  readonly kept: Pick<KeptRoom, "avoidedBy" | "noteAssigned">;
  readonly deliverer: Deliverer;
  readonly releaser: Releaser;
  readonly random: Random;
  readonly logger: Logger;
}

/** Claimed tasks in one call at most: what one ReserveCapacity takes, halved for the sake of its transaction. */
export const maxPlacedAtOnce = 500;

/** Steps 2 to 5 of DESIGN 5 for tasks that this replica has claimed. Used for new plans and for resuming alike. */
export interface Placer {
  place(claimed: readonly ClaimedTask[], actor: Actor, call?: CallTrace): Promise<Placed>;
  /** Plans that somebody was found to keep locked, and still does: of these nothing can be placed, and nothing tells when it can be. */
  lockedPlans(): Promise<ReadonlySet<string>>;
}

export function createPlacer(given: PlacerOptions): Placer {
  const options = {
    ...given,
    later: new LaterEachTime(given.random),
    byPlan: new ByPlan(given),
    decisions: new ChangedDecisions(given.logger),
  };
  return {
    place: (claimed, actor, call = NO_CALL) => place(options, claimed, { actor, call }),
    lockedPlans: () => options.byPlan.locked(),
  };
}

interface Placing extends PlacerOptions {
  readonly later: LaterEachTime;
  readonly byPlan: ByPlan;
  readonly decisions: ChangedDecisions;
}

/** Who has it placed, and by which call. */
interface Cause {
  readonly actor: Actor;
  readonly call: CallTrace;
}

async function place(options: Placing, claimed: readonly ClaimedTask[], cause: Cause): Promise<Placed> {
  if (claimed.length === 0) return { assigned: [], parked: [], ...NO_WORD };
  const { open, held } = askGate(options, claimed);
  const reserved = await reserve(options, open);
  const assigned = await commitAssignments(options, reserved.assignments, cause);
  const parks = await park(options, [...held, ...reserved.parks], cause);
  releaseUnknown(options, held);
  logParked(options.logger, parks);
  return {
    assigned,
    parked: parks.map(({ claimed: { taskId, planId, taskName }, reason, sentence }) => ({
      taskId,
      planId,
      taskName,
      reason,
      sentence,
    })),
    shapesWithoutRoom: reserved.shapesWithoutRoom,
    refusedAlone: reserved.refusedAlone,
    revision: reserved.revision,
    registryAway: reserved.registryAway,
  };
}

/**
 * What the gate holds may have been promised room through a claimer that died. Such promises can be what keeps the gate
 * shut: they are given back now instead of when their leases end.
 */
function releaseUnknown({ releaser }: PlacerOptions, held: readonly NewPark[]): void {
  const unknown = held.filter(({ claimed }) => claimed.mayHoldRoom);
  if (unknown.length === 0) return;
  releaser.release(
    unknown.map(({ claimed: { attemptId, fence } }) => ({ attemptId, fence })),
    "the gate holds the task",
  );
}

/** One verdict for tasks that use a GPU and one for those that do not: that is all the gate tells apart. */
function askGate(
  { gate, decisions }: Pick<Placing, "gate" | "decisions">,
  claimed: readonly ClaimedTask[],
): { readonly open: readonly ClaimedTask[]; readonly held: readonly NewPark[] } {
  const answers = new Map<boolean, GateAnswer>();
  const counts = new Map<boolean, number>();
  const open: ClaimedTask[] = [];
  const held: NewPark[] = [];
  for (const task of claimed) {
    const usesGpu = needsGpu(task.needs);
    const answer = answers.get(usesGpu) ?? gate.askForPlacing(task.needs);
    answers.set(usesGpu, answer);
    counts.set(usesGpu, (counts.get(usesGpu) ?? 0) + 1);
    if (answer.kind === "open") open.push(task);
    else held.push({ claimed: task, reason: answer.reason, sentence: answer.sentence, attemptIdKept: false });
  }
  for (const [usesGpu, answer] of answers) decisions.note(answer, usesGpu ? "gpu" : "cpu", counts.get(usesGpu) ?? 0);
  return { open, held };
}

/** What the registry says. */
type Word = Pick<Placed, "shapesWithoutRoom" | "refusedAlone" | "revision" | "registryAway">;

const NO_WORD: Word = { shapesWithoutRoom: new Map(), refusedAlone: new Map(), revision: null, registryAway: false };

interface Reserved extends Word {
  readonly assignments: readonly NewAssignment[];
  readonly parks: readonly NewPark[];
}

async function reserve(options: Placing, tasks: readonly ClaimedTask[]): Promise<Reserved> {
  if (tasks.length === 0) return { assignments: [], parks: [], ...NO_WORD };
  const avoided = options.avoided.current();
  const asOf = options.fleet.asOf();
  const asked = await ask(
    options,
    tasks.map((claimed) => ({
      claimed,
      request: {
        attemptId: claimed.attemptId,
        fence: claimed.fence,
        needs: claimed.needs,
        avoidAgentIds: new Set([...options.kept.avoidedBy(claimed), ...avoided]),
        kind: "attempt",
        expectedDurationMs: claimed.expectedDurationMs,
        taskId: claimed.taskId,
        planId: claimed.planId,
      },
    })),
  );
  const { assignments, parks, shapesWithoutRoom } = sortOutcomes(options, asked.answered);
  for (const { claimed, agentId, amounts } of assignments) {
    // What an earlier claim was promised has been told long ago.
    if (!claimed.mayHoldRoom) options.fleet.promised(agentId, amounts, asOf);
  }
  const { refusedAlone: alone, revision, registryAway } = asked;
  return {
    assignments,
    parks: [...parks, ...asked.parks],
    shapesWithoutRoom,
    refusedAlone: alone,
    revision,
    registryAway,
  };
}

interface Question {
  readonly claimed: ClaimedTask;
  readonly request: ReserveRequest;
}

interface Answered extends Question {
  readonly outcome: ReserveOutcome;
}

interface Asked extends Pick<Reserved, "parks" | "refusedAlone" | "revision" | "registryAway"> {
  readonly answered: readonly Answered[];
}

/** Calls for one batch at most: enough to find some 100 tasks that are refused, wherever in a full batch they are. */
const maxAsks = 256;

async function ask(options: Placing, questions: readonly Question[]): Promise<Asked> {
  const { registry, later } = options;
  const asked = await askInHalves(questions, (batch) => registry.reserve(batch.map(({ request }) => request)), maxAsks);
  const answered = asked.answers.flatMap(({ items, answer: { outcomes } }) =>
    // The port promises one outcome for each request.
    items.flatMap((question, index) => {
      const outcome = outcomes[index];
      return outcome === undefined ? [] : [{ ...question, outcome }];
    }),
  );
  for (const { claimed } of answered) later.forget(claimed.taskId);
  const alone = new Map<string, number>();
  for (const { claimed } of asked.refused.map(({ item }) => item))
    alone.set(claimed.shapeKey, (alone.get(claimed.shapeKey) ?? 0) + 1);
  const parks = asked.refused.map(({ item, error }) => parkAlone(options, item.claimed, error));
  if (asked.unasked !== null) parks.push(...parkUnasked(options, asked.unasked.items, asked.unasked.error));
  return {
    answered,
    parks,
    refusedAlone: alone,
    // What is refused at a later one is asked again at worst.
    revision: asked.answers[0]?.answer.revision ?? null,
    registryAway: asked.unasked !== null,
  };
}

/** Room that nobody could check is not promised (R-PAUSE-9). What may have been promised is found by the same attempt id. */
function parkUnasked({ logger }: PlacerOptions, questions: readonly Question[], error: unknown): readonly NewPark[] {
  logger.warn({ err: error, tasks: questions.length }, "the registry could not be asked for room: the tasks wait");
  const sentence = cannotBeAsked(error);
  return questions.map(({ claimed }) => ({ claimed, reason: "REGISTRY_UNAVAILABLE", sentence, attemptIdKept: true }));
}

/** What may have been promised after all is found by the same attempt id. */
function parkAlone({ logger, later }: Placing, claimed: ClaimedTask, error: unknown): NewPark {
  const { reason, sentence, what, mayPass } = refusedAlone(error);
  const resumeAfterMs = later.next(claimed.taskId, mayPass);
  logger.error(
    { ...about(claimed), err: error, resume_after_ms: Math.round(resumeAfterMs) },
    `the registry ${what} to look for room for a task: it waits`,
  );
  return { claimed, reason, sentence, attemptIdKept: true, resumeAfterMs };
}

function sortOutcomes(
  options: PlacerOptions,
  answered: readonly Answered[],
): Pick<Reserved, "assignments" | "parks" | "shapesWithoutRoom"> {
  const assignments: NewAssignment[] = [];
  const parks: NewPark[] = [];
  const shapesWithoutRoom = new Map<string, ShapeWithoutRoom>();
  for (const { claimed, request, outcome } of answered) {
    switch (outcome.kind) {
      case "reserved": {
        const { agentId, amounts, leaseLeftMs } = outcome.reservation;
        assignments.push({
          claimed,
          agentId,
          amounts,
          cardIndexes: amounts.cards.flatMap(({ cardId }) => options.fleet.cardIndex(agentId, cardId) ?? []),
          leaseLeftMs: leaseLeftMs ?? leaseWhenConfirmedMs,
          sendsNow: options.deliverer.holds(agentId),
        });
        break;
      }
      case "no_room": {
        const { reason, sentence } = outcome.explanation;
        const held: Held = { reason: reason ?? "NO_AGENT_FITS_NOW", sentence };
        shapesWithoutRoom.set(claimed.shapeKey, { ...held, isForNow: request.avoidAgentIds.size > 0 });
        parks.push({ claimed, ...held, attemptIdKept: false });
        break;
      }
      case "stale_fence":
        // Another replica has taken the claim over: the guard of whatever we write will not hold.
        options.logger.debug(about(claimed), "the claim was taken over while room was asked for");
        break;
      case "conflict":
        // The id was used up by an attempt that never came to be: the next claim takes a new one.
        parks.push({ claimed, reason: "AWAITING_TURN", sentence: outcome.sentence, attemptIdKept: false });
        break;
    }
  }
  return { assignments, parks, shapesWithoutRoom };
}

/** A promise that the agent has confirmed already has no lease; the assignment is then a repetition. */
const leaseWhenConfirmedMs = 30_000;

async function commitAssignments(
  options: Placing,
  assignments: readonly NewAssignment[],
  cause: Cause,
): Promise<readonly AssignmentToSend[]> {
  const { store, owner, byPlan, releaser } = options;
  const committed: AssignmentToSend[] = [];
  const failed = await byPlan.write(assignments, planOf, async (group) => {
    const assigned = await store.assign(group, owner, cause.actor, cause.call);
    tellAssigned(options, group, assigned, cause.actor);
    committed.push(...assigned);
  });
  const ids = new Set(committed.map(({ attemptId }) => attemptId));
  const missing = assignments.filter(({ claimed }) => !ids.has(claimed.attemptId));
  const unwritten = missing.filter(({ claimed }) => failed.has(claimed.planId));
  // Others may use the room until the claims end, and whoever claims them then asks for it anew.
  if (unwritten.length > 0) releaser.release(unwritten.map(attemptOf), "nothing could be written of the plan");
  const lost = missing.filter(({ claimed }) => !failed.has(claimed.planId));
  if (lost.length > 0) await giveUp(options, lost, cause);
  return committed;
}

/** They are committed. */
function tellAssigned(
  { deliverer, kept, logger }: PlacerOptions,
  assignments: readonly NewAssignment[],
  assigned: readonly AssignmentToSend[],
  actor: Actor,
): void {
  deliverer.deliver(assigned);
  logger.together(() => {
    for (const { attemptId, agentId, planId, taskId } of assigned) {
      const fields = { plan_id: planId, task_id: taskId, attempt_id: attemptId, agent_id: agentId, actor };
      logger.info(fields, "task assigned");
    }
  });
  const committed = new Set(assigned.map(({ attemptId }) => attemptId));
  for (const { claimed } of assignments) if (committed.has(claimed.attemptId)) kept.noteAssigned(claimed);
}

/** Their claims are gone, or a hold has come over them: of these the claim is given up, of the others that changes nothing. */
async function giveUp(options: Placing, lost: readonly NewAssignment[], cause: Cause): Promise<void> {
  options.releaser.release(lost.map(attemptOf), "the task was cancelled, held or taken over while it was placed");
  const sentence = "Its plan or the queue was held when it was about to start.";
  const parks = lost.map(({ claimed }): NewPark => ({ claimed, reason: "HELD", sentence, attemptIdKept: false }));
  await park(options, parks, cause);
}

/** Answers those that could be written; the others stay claimed until their claims end. */
async function park(
  { store, owner, byPlan }: Placing,
  parks: readonly NewPark[],
  { actor, call }: Cause,
): Promise<readonly NewPark[]> {
  const failed = await byPlan.write(parks, planOf, (group) => store.park(group, owner, actor, call));
  return parks.filter(({ claimed }) => !failed.has(claimed.planId));
}

const planOf = ({ claimed }: { readonly claimed: ClaimedTask }): string => claimed.planId;

function attemptOf({ claimed: { attemptId, fence } }: NewAssignment): FencedAttempt {
  return { attemptId, fence };
}

function logParked(logger: Logger, parks: readonly NewPark[]): void {
  logger.together(() => {
    for (const { claimed, reason, sentence } of parks) {
      const fields = { ...about(claimed), reason, sentence };
      if (claimed.state === "pending") logger.info(fields, "task paused");
      else logger.debug(fields, "task still waits");
    }
  });
}

function about(claimed: ClaimedTask): { plan_id: string; task_id: string; attempt_id: string } {
  return { plan_id: claimed.planId, task_id: claimed.taskId, attempt_id: claimed.attemptId };
}
