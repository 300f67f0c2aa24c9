import { type Amounts, type EpochMs, type Needs, NO_AMOUNTS, shapeKey } from "@headroom/scheduling";
import { holds, promisesByAgent } from "./check-room.ts";
import { isAboveThreshold } from "./check-gate.ts";
import type { AgentChange, Facts, MachineFact, PauseChange, TaskFact, Violation } from "./facts.ts";
import { hasRoom, mayRunOn, plus } from "./room.ts";

interface Waiting {
  readonly pause: PauseChange;
  readonly task: TaskFact;
  readonly shape: string;
  /** Since when nothing has stood in its way; null: something does. */
  freeSinceMs: EpochMs | null;
}

type Step = (state: FleetState) => void;

interface FleetState {
  readonly promised: Map<string, Map<string, Amounts>>;
  readonly usable: Set<string>;
  readonly waiting: Map<string, Waiting>;
  outages: number;
}

/**
 * V12: nothing waits longer than `boundMs` while room that fits exists, somebody could place it, and it is its turn. It is not its turn
 * while another task waits that does not fit and is not younger or has a higher priority: room may be gathered for that one, where it may
 * run. Nor is it while no agent is above the capacity threshold.
 */
export function checkWaiting(facts: Facts, boundMs: number): readonly Violation[] {
  const state: FleetState = { promised: new Map(), usable: new Set(), waiting: new Map(), outages: 0 };
  const violations: Violation[] = [];
  const reported = new Set<string>();
  for (const { atMs, step } of stepsOf(facts)) {
    // Between two steps nothing changes: what was free before is free until now.
    for (const [id, waiting] of state.waiting) {
      const waitedMs = waiting.freeSinceMs === null ? 0 : atMs - waiting.freeSinceMs;
      if (waitedMs <= boundMs || reported.has(id)) continue;
      reported.add(id);
      const { name, taskId } = waiting.task;
      violations.push({
        invariant: "V12",
        what: `task ${name} (${taskId}) waited ${Math.round(waitedMs)} ms from ${waiting.freeSinceMs} on, with room for it and its turn`,
      });
    }
    step(state);
    judge(state, facts, atMs);
  }
  return violations;
}

/** Those that may run on the same machines, and do not fit anywhere: room may be gathered for them there. */
interface Blockers {
  readonly needs: Needs;
  highest: number;
  oldestMs: EpochMs;
}

function judge(state: FleetState, { machines, threshold = 0 }: Facts, nowMs: EpochMs): void {
  const fits = new Map<string, boolean>();
  /** On some machine that is kept for none of these. */
  const fitsNow = (shape: string, needs: Needs, kept: readonly (readonly [string, Blockers])[] = []): boolean => {
    const key = JSON.stringify([shape, kept.map(([who]) => who)]);
    const known =
      fits.get(key) ??
      (state.outages === 0 &&
        isGateOpen(state, machines, needs, threshold) &&
        someRoom(
          state,
          machines.filter((machine) => !kept.some(([, blockers]) => mayRunOn(machine, blockers.needs))),
          needs,
        ));
    fits.set(key, known);
    return known;
  };
  const isDue = ({ pause }: Waiting): boolean => pause.resumeAfterMs === null || pause.resumeAfterMs <= nowMs;
  const due = [...state.waiting.values()].filter(isDue);
  const blocking = new Map<string, Blockers>();
  for (const { shape, task } of due) {
    if (fitsNow(shape, task.needs)) continue;
    const who = JSON.stringify([task.needs.agentId, task.needs.labels]);
    const blockers = blocking.get(who) ?? { needs: task.needs, highest: -Infinity, oldestMs: Infinity };
    blocking.set(who, blockers);
    blockers.highest = Math.max(blockers.highest, task.priority);
    blockers.oldestMs = Math.min(blockers.oldestMs, task.createdAtMs);
  }
  for (const waiting of state.waiting.values()) {
    const { task, shape } = waiting;
    const before = [...blocking].filter(
      ([, { highest, oldestMs }]) => task.priority < highest || task.createdAtMs >= oldestMs,
    );
    const isFree = isDue(waiting) && fitsNow(shape, task.needs, before);
    waiting.freeSinceMs = isFree ? (waiting.freeSinceMs ?? nowMs) : null;
  }
}

function someRoom({ promised, usable }: FleetState, machines: readonly MachineFact[], needs: Needs): boolean {
  return machines.some((machine) => {
    if (!usable.has(machine.agentId)) return false;
    if (!mayRunOn(machine, needs)) return false;
    const sum = [...(promised.get(machine.agentId)?.values() ?? [])].reduce(plus, NO_AMOUNTS);
    return hasRoom(machine, sum, needs);
  });
}

function isGateOpen(
  { promised, usable }: FleetState,
  machines: readonly MachineFact[],
  needs: Needs,
  threshold: number,
): boolean {
  return machines.some((machine) => {
    if (!usable.has(machine.agentId)) return false;
    const sum = [...(promised.get(machine.agentId)?.values() ?? [])].reduce(plus, NO_AMOUNTS);
    const vramMib = sum.cards.reduce((total, card) => total + card.vramMib, 0);
    return isAboveThreshold(machine, { cpuMillicores: sum.cpuMillicores, vramMib }, threshold, needs);
  });
}

/** Everything that changes who waits and what is free, in the order of time. */
function stepsOf(facts: Facts): readonly { readonly atMs: EpochMs; readonly step: Step }[] {
  const steps: { atMs: EpochMs; step: Step }[] = [];
  for (const [agentId, changes] of promisesByAgent(facts.changes)) {
    for (const change of changes) {
      steps.push({
        atMs: change.atMs,
        step({ promised }) {
          const own = promised.get(agentId) ?? new Map<string, Amounts>();
          promised.set(agentId, own);
          if (holds(change)) own.set(change.attemptId, change.amounts);
          else own.delete(change.attemptId);
        },
      });
    }
  }
  const tasks = new Map(facts.tasks.map((task) => [task.taskId, task]));
  for (const change of facts.changes) {
    if (change.row === "agent") steps.push({ atMs: change.atMs, step: agentStep(change) });
    if (change.row === "pause") steps.push(...pauseSteps(change, tasks.get(change.taskId)));
  }
  for (const { fromMs, toMs } of facts.outages) {
    steps.push({ atMs: fromMs, step: (state) => void (state.outages += 1) });
    steps.push({ atMs: toMs, step: (state) => void (state.outages -= 1) });
  }
  steps.push({ atMs: facts.untilMs, step: () => undefined });
  return steps.sort((a, b) => a.atMs - b.atMs);
}

function agentStep({ agentId, usable }: AgentChange): Step {
  return (state) => void (usable ? state.usable.add(agentId) : state.usable.delete(agentId));
}

function pauseSteps(
  pause: PauseChange,
  task: TaskFact | undefined,
): readonly { readonly atMs: EpochMs; readonly step: Step }[] {
  if (task === undefined) return [];
  const shape = shapeKey(task.needs);
  const id = pause.pauseQueueId;
  const steps = [
    {
      atMs: pause.atMs,
      step({ waiting }: FleetState) {
        if (pause.status !== "waiting" || pause.blocked) waiting.delete(id);
        else waiting.set(id, { pause, task, shape, freeSinceMs: waiting.get(id)?.freeSinceMs ?? null });
      },
    },
  ];
  const dueMs = pause.resumeAfterMs;
  return dueMs !== null && dueMs > pause.atMs ? [...steps, { atMs: dueMs, step: () => undefined }] : steps;
}
