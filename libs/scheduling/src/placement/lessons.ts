/** When what has been learned is put to use, and what a rule is told of the fleet. */
import { idleState, type MachineKind, type MachineState } from "./machine-state.ts";
import type { FleetFacts } from "./rules.ts";
import type { StateSlots } from "./state-slots.ts";

/** A rule is made anew after so many arrivals at first, and then each time their number has grown by that factor. */
const FIRST_LESSON = 50;
const LESSON_GROWTH = 1.3;
/** But at least that often: tasks of other shapes may come. */
const MAX_LESSON = 10_000;

/** The number of arrivals at which to learn next. */
export function nextLessonAfter(arrivals: number): number {
  return Math.max(FIRST_LESSON, Math.min(arrivals * LESSON_GROWTH, arrivals + MAX_LESSON));
}

export interface CountedState {
  readonly state: MachineState;
  /** Machines in it. */
  readonly count: number;
}

/** States that are looked at to learn what the fleet is made of: the others are like these. */
const MAX_SAMPLED = 4_096;

/** All states, or every so-manieth, which stands for those between. */
export function sampled(slots: StateSlots): readonly CountedState[] {
  const step = Math.ceil(slots.slotCount / MAX_SAMPLED);
  if (step <= 1) return [...slots.slots()];
  const states: CountedState[] = [];
  let position = 0;
  for (const { state, count } of slots.slots()) {
    if (position % step === 0) states.push({ state, count: count * step });
    position += 1;
  }
  return states;
}

export function fleetFacts(states: Iterable<CountedState>): FleetFacts {
  const counts = new Map<MachineKind, number>();
  for (const { state, count } of states) counts.set(state.kind, (counts.get(state.kind) ?? 0) + count);
  const kinds = [...counts].map(([kind, count]) => ({ kind, count, idle: idleState(kind) }));
  let cards = 0;
  let vram = 0;
  for (const { idle, count } of kinds) {
    cards += idle.cards.length * count;
    vram += idle.vramMib * count;
  }
  return {
    maxCpuMillicores: Math.max(0, ...kinds.map(({ kind }) => kind.cpuTotalMillicores)),
    maxVramMib: Math.max(0, ...kinds.map(({ idle }) => idle.vramMib)),
    meanCardMib: cards > 0 ? vram / cards : 0,
    kinds,
  };
}
