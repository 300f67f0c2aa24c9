/**
 * Plays arrivals on a fleet: tasks come one by one and stay, and one that does not fit is skipped. The placement code is the
 * registry's own.
 */
import type { Mib } from "../resources.ts";
import { type Placed, PlacementEngine } from "./engine.ts";
import type { CardClass, MachineState } from "./machine-state.ts";
import type { RuleMaker } from "./rules.ts";
import { admitsClass, type PlacementShape, vramOf } from "./shape.ts";
import { StrandedEstimate } from "./stranded.ts";

export interface SimulatedMachine {
  readonly machineId: string;
  readonly state: MachineState;
}

export type TaskClass = "share" | "oneCard" | "severalCards" | "cpuOnly";

export const TASK_CLASSES: readonly TaskClass[] = ["share", "oneCard", "severalCards", "cpuOnly"];

export interface SimulatedTask {
  readonly shape: PlacementShape;
  readonly taskClass: TaskClass;
  /** Which machines may have it at all: pool, labels and the like. Left out: all. */
  readonly accepts?: (machineId: string) => boolean;
}

export interface CurvePoint {
  /** VRAM asked for so far, of all that the fleet has, in whole percent. */
  readonly requestedPercent: number;
  /** VRAM allocated, in percent: mean over the arrivals whose requested share rounds to that. */
  readonly allocatedPercent: number;
}

export interface Outcome {
  readonly policy: string;
  readonly curve: readonly CurvePoint[];
  /** At the last point of the curve. */
  readonly allocatedPercent: number;
  /** Of the VRAM that is left, what the next task is expected not to be able to use (FGD's measure), in percent of all. */
  readonly fragmentedPercent: number;
  readonly arrived: Readonly<Record<TaskClass, number>>;
  readonly failed: Readonly<Record<TaskClass, number>>;
}

export interface SimulateOptions {
  /** Stops when so much has been asked for, as a share of what the fleet has: 1.3. */
  readonly until: number;
  /**
   * The gate's threshold, 0..1: a task is held back, and fails here, while no machine has this share of its CPU free, and for a
   * task with cards of its VRAM. Default 0: only what does not fit is held back.
   */
  readonly threshold?: number;
  /** Called after each arrival with the share of the way that is done, 0..1. */
  readonly onProgress?: (done: number) => void;
}

/** The class that figures are told apart by: a share of one card, one whole, several, none. */
export function taskClassOf(shape: PlacementShape, wholeCardMib: number): TaskClass {
  if (shape.gpuCount === 0) return "cpuOnly";
  if (shape.gpuCount > 1) return "severalCards";
  return shape.exclusive || shape.perCardMib >= wholeCardMib ? "oneCard" : "share";
}

const NO_COUNTS: Readonly<Record<TaskClass, number>> = { share: 0, oneCard: 0, severalCards: 0, cpuOnly: 0 };

export function simulate(
  machines: readonly SimulatedMachine[],
  tasks: Iterable<SimulatedTask>,
  policy: RuleMaker,
  { until, threshold = 0, onProgress }: SimulateOptions,
): Outcome {
  const engine = new PlacementEngine(policy);
  let capacityMib = 0;
  for (const { machineId, state } of machines) {
    engine.put(machineId, state);
    capacityMib += state.vramMib;
  }
  const curve = new Curve();
  const cards = new FleetCards(machines);
  const arrived = { ...NO_COUNTS };
  const failed = { ...NO_COUNTS };
  let requestedMib = 0;
  let allocatedMib = 0;
  for (const { shape, taskClass, accepts } of tasks) {
    engine.mix.arrive(shape);
    requestedMib += shape.exclusive ? cards.wholeOf(shape) : vramOf(shape);
    arrived[taskClass] += 1;
    const isOpen = threshold <= 0 || engine.someState((state) => isAbove(state, shape, threshold));
    const placed = isOpen ? engine.choose(shape, accepts) : null;
    if (placed === null) failed[taskClass] += 1;
    else {
      engine.take(placed, shape);
      allocatedMib += shape.exclusive ? wholeMib(placed) : vramOf(shape);
    }
    curve.add(requestedMib / capacityMib, allocatedMib / capacityMib);
    onProgress?.(Math.min(1, requestedMib / capacityMib / until));
    if (requestedMib >= capacityMib * until) break;
  }
  const points = curve.points(until);
  const allocatedPercent = points.at(-1)?.allocatedPercent ?? 0;
  const fragmentedPercent = (fragmentation(engine, machines) / capacityMib) * 100;
  return { policy: policy.name, curve: points, allocatedPercent, fragmentedPercent, arrived, failed };
}

/** What tasks with whole cards take, whatever they ask of them: nothing else runs on those. */
function wholeMib({ after, positions }: Pick<Placed, "after" | "positions">): Mib {
  return positions.reduce((sum, position) => sum + (after.kind.cardClasses[position]?.totalMib ?? 0), 0);
}

/** The cards of a fleet by class, and what a task with whole ones asks of it before it has any: as many of the mean that it may have. */
class FleetCards {
  readonly #counts = new Map<CardClass, number>();
  readonly #wholes = new Map<PlacementShape, Mib>();

  constructor(machines: readonly SimulatedMachine[]) {
    for (const { state } of machines) {
      for (const cardClass of state.kind.cardClasses) {
        this.#counts.set(cardClass, (this.#counts.get(cardClass) ?? 0) + 1);
      }
    }
  }

  wholeOf(shape: PlacementShape): Mib {
    const known = this.#wholes.get(shape);
    if (known !== undefined) return known;
    // Of a task that no card will do for as well something is asked: else nothing but such tasks would come for ever.
    const meanMib = this.#meanMib((cardClass) => admitsClass(shape, cardClass)) ?? this.#meanMib(() => true) ?? 1;
    const whole = shape.gpuCount * Math.max(shape.perCardMib, meanMib);
    this.#wholes.set(shape, whole);
    return whole;
  }

  /** null: there is none. */
  #meanMib(isMeant: (cardClass: CardClass) => boolean): Mib | null {
    let sumMib = 0;
    let cards = 0;
    for (const [cardClass, count] of this.#counts) {
      if (!isMeant(cardClass)) continue;
      sumMib += cardClass.totalMib * count;
      cards += count;
    }
    return cards === 0 ? null : sumMib / cards;
  }
}

function fragmentation(engine: PlacementEngine, machines: readonly SimulatedMachine[]): number {
  const estimate = StrandedEstimate.ofFragmentation(engine.mix);
  let sum = 0;
  for (const { machineId, state } of machines) sum += estimate.fragmentation(engine.stateOf(machineId) ?? state);
  return sum;
}

/** Machines without cards count as below for tasks that need some. */
function isAbove(state: MachineState, shape: PlacementShape, threshold: number): boolean {
  const { kind, cpuMillicores, vramMib } = state;
  if (cpuMillicores < threshold * kind.cpuTotalMillicores) return false;
  if (shape.gpuCount === 0) return true;
  const totalMib = kind.cardClasses.reduce((sum, { totalMib: ofCard }) => sum + ofCard, 0);
  return totalMib > 0 && vramMib >= threshold * totalMib;
}

class Curve {
  readonly #sums: number[] = [];
  readonly #counts: number[] = [];

  add(requested: number, allocated: number): void {
    const percent = Math.round(requested * 100);
    this.#sums[percent] = (this.#sums[percent] ?? 0) + allocated * 100;
    this.#counts[percent] = (this.#counts[percent] ?? 0) + 1;
  }

  points(until: number): readonly CurvePoint[] {
    const points: CurvePoint[] = [];
    for (let requestedPercent = 0; requestedPercent <= Math.round(until * 100); requestedPercent += 1) {
      const count = this.#counts[requestedPercent] ?? 0;
      if (count > 0) points.push({ requestedPercent, allocatedPercent: (this.#sums[requestedPercent] ?? 0) / count });
    }
    return points;
  }
}
