import { agentStatusWire, timestampFromMsOrNull, wire } from "@headroom/contracts";
import type { CallContext, UnaryHandler } from "@headroom/rpc";
import { isWaitingTaskState, normalizeNeeds } from "@headroom/scheduling";
import { expectStart } from "../estimates/expect-start.ts";
import { roomAhead } from "../estimates/may-start.ts";
import { lostGraceMs } from "../lost/sweep.ts";
import { unmetDependencies } from "../present/dependency-sentence.ts";
import { type GivenRules, givenSentence, type GivenTo } from "../present/given-sentence.ts";
import { holdToWire } from "../present/hold-to-wire.ts";
import { agentsToList, setAside } from "../present/set-aside-sentence.ts";
import { taskToWire } from "../present/task-to-wire.ts";
import type { AttemptRecord, TaskRecord } from "../store/model.ts";
import { askRegistry, type RegistryWord } from "./ask-registry.ts";
import { resendWithinMs } from "../work/resending.ts";
import type { HandlerDeps } from "./deps.ts";
import { taskNotFound } from "./not-found.ts";
import { placingSentence, waitingSentence, type Waiting, whatElseHelps } from "./explain-waiting.ts";

const defaultMaxAgents = 20;
const givenRules: GivenRules = { lostGraceMs, resendWithinMs };
/** Places before it are counted up to here: who is further back learns no more from the number. */
const countedAtMost = 10_000;

/** Why a task does not run, from the gate's and the registry's own verdicts, and when it is expected to. */
export function explainTask(deps: HandlerDeps): UnaryHandler<wire.ExplainTaskRequest, wire.ExplainTaskResponse> {
  return async (request, context) => {
    const taskId = request.taskId.toLowerCase();
    const task = await deps.store.getTask(taskId);
    if (task === null) throw taskNotFound(taskId);
    if (!isWaitingTaskState(task.state)) {
      const sentence = await settledSentence(deps, task, context);
      return wire.ExplainTaskResponse.fromPartial({ task: taskToWire(task), sentence });
    }
    const waiting = await lookAt(deps, task, request.maxAgents, context);
    const { place, holds, registry } = waiting;
    const expected = await expectedStart(deps, waiting);
    return wire.ExplainTaskResponse.fromPartial({
      task: taskToWire(task),
      sentence: waitingSentence(waiting),
      capacity: capacityToWire(registry, whatElseHelps(waiting)),
      queuePosition: place === null ? 0 : Math.min(countedAtMost, place.higherPriority + place.samePriority) + 1,
      tasksAheadOfHigherPriority: place?.higherPriority ?? 0,
      tasksAheadOfSamePriority: place?.samePriority ?? 0,
      expectedStartEarliest: timestampFromMsOrNull(expected?.earliestMs ?? null),
      expectedStartLatest: timestampFromMsOrNull(expected?.latestMs ?? null),
      hold: holdToWire(holds.plan ?? holds.queue),
    });
  };
}

async function lookAt(deps: HandlerDeps, task: TaskRecord, maxAgents: number, context: CallContext): Promise<Waiting> {
  const { taskId, planId, needs, pause } = task;
  const aside = {
    kept: deps.kept.keptFrom(task),
    avoided: deps.avoided.leftMs(),
  };
  const listed = maxAgents === 0 ? defaultMaxAgents : maxAgents;
  const [word, plan, place, planTasks] = await Promise.all([
    askRegistry(deps, needs, Math.max(listed, agentsToList(aside)), context.logger),
    deps.store.getPlan(planId),
    deps.store.queuePlace(taskId, countedAtMost),
    pause?.reason === "DEPENDENCY_PENDING" ? deps.store.planTasks(planId) : [],
  ]);
  const registry = withAgents(word, listed);
  return {
    task,
    registry,
    inTheWay: word.kind === "told" ? setAside(word.capacity.explanation.agents, aside) : null,
    place: canNeverFit(registry) ? null : place,
    nowMs: place?.nowMs ?? deps.ports.clock.now(),
    countedAtMost,
    holds: { planId, plan: plan?.hold ?? null, queue: deps.queueHold.current() },
    gate: deps.gate.askForPlacing(needs),
    threshold: deps.gate.threshold,
    unmet: unmetDependencies(task, planTasks),
  };
}

function withAgents(word: RegistryWord, atMost: number): RegistryWord {
  if (word.kind === "unavailable") return word;
  const { explanation } = word.capacity;
  const agents = explanation.agents.slice(0, atMost);
  return { ...word, capacity: { ...word.capacity, explanation: { ...explanation, agents } } };
}

/** It stands in no order then: it competes with nobody. */
function canNeverFit(registry: RegistryWord): boolean {
  return registry.kind === "told" && registry.capacity.explanation.verdict === wire.FleetVerdict.FLEET_VERDICT_NEVER;
}

async function expectedStart(
  deps: HandlerDeps,
  { task, place, holds, registry, gate, inTheWay }: Waiting,
): ReturnType<typeof expectStart> {
  const isHeld = holds.plan !== null || holds.queue !== null;
  if (place === null || isHeld || registry.kind === "unavailable") return null;
  const room = roomAhead(registry.capacity, gate);
  if (room.kind === "nothing_can_start") return null;
  const inMs = inTheWay === null || room.inMs === null ? room.inMs : Math.max(room.inMs, inTheWay.endsInMs);
  return expectStart(deps.store, task, place, inMs);
}

/** Absent when the registry cannot be asked. An agent on which it fits does not help where something else is in the way. */
function capacityToWire(registry: RegistryWord, help: string): wire.CapacityExplanation | undefined {
  if (registry.kind === "unavailable") return undefined;
  const { explanation } = registry.capacity;
  if (help === "") return explanation;
  return { ...explanation, agents: explanation.agents.map((one) => (one.fits ? { ...one, unblock: help } : one)) };
}

async function settledSentence(deps: HandlerDeps, task: TaskRecord, context: CallContext): Promise<string> {
  switch (task.state) {
    case "succeeded":
    case "failed":
    case "cancelled":
      return `It has ${task.state === "cancelled" ? "been cancelled" : task.state}: ${task.outcomeReason}.`;
    case "running":
    case "assigned": {
      const [attempt] = task.attempts;
      return attempt === undefined ? placingSentence : whereItIs(deps, task, attempt, context);
    }
    case "pending":
    case "reserved":
    case "lost":
    case "paused":
      return placingSentence;
  }
}

/** The registry is asked for the least that an agent could be asked for: what counts is the state of that one. */
async function whereItIs(
  deps: HandlerDeps,
  task: TaskRecord,
  { agentId, attemptId }: AttemptRecord,
  context: CallContext,
): Promise<string> {
  const [lease, registry] = await Promise.all([
    deps.store.workLease(attemptId),
    askRegistry(deps, normalizeNeeds({ agentId }), 1, context.logger),
  ]);
  const agents = registry.kind === "told" ? registry.capacity.explanation.agents : [];
  const verdict = agents.find((one) => one.agentId === agentId);
  return givenSentence(task, verdict === undefined ? unknown(agentId) : givenTo(verdict), lease, givenRules);
}

function unknown(agentId: string): GivenTo {
  return { agentId, status: null, attached: null };
}

function givenTo({ agentId, status, misses }: wire.AgentVerdict): GivenTo {
  const lacks = (code: wire.MissCode): boolean => misses.some((miss) => miss.code === code);
  const read = agentStatusWire.fromWire(status, "status");
  const away = read.kind === "ok" ? read.value : null;
  return {
    agentId,
    status: lacks(wire.MissCode.MISS_CODE_NOT_ONLINE) ? away : "online",
    attached: !lacks(wire.MissCode.MISS_CODE_NOT_ATTACHED),
  };
}
