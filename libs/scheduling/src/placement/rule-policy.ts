/**
 * A rule as the registry asks it: among the agents where a task fits, with what it has learned. The same rule on the same state
 * chooses the same machine in a simulation.
 */
import type { AgentView } from "../agent-view.ts";
import type { Needs } from "../needs.ts";
import type { Candidate, Choice, PlacementPolicy } from "../placement.ts";
import { BEST_FIT } from "../policies.ts";
import { CardHistory } from "./card-history.ts";
import { type CountedState, fleetFacts, nextLessonAfter } from "./lessons.ts";
import { agentFacts, MachineKinds } from "./machine-kinds.ts";
import type { MachineState } from "./machine-state.ts";
import { forEachOption } from "./options.ts";
import type { PlacementRule, RuleMaker } from "./rules.ts";
import { admittedCards, placementShape, type PlacementShape } from "./shape.ts";
import { TaskMix } from "./task-mix.ts";

/** Agents that are looked at to learn what the fleet is made of. */
const MAX_SAMPLED_AGENTS = 2_000;
/** Tasks that are known to have arrived already. */
const MAX_KNOWN_TASKS = 10_000;

type Room = Pick<AgentView, "room">;

/** The fleet, to learn from: seldom read. */
export interface LearnedFleet {
  readonly size: number;
  /** So many of its agents, or all. */
  sample(count: number): Iterable<Room>;
}

interface Best {
  readonly candidate: Candidate;
  readonly score: number;
  readonly state: MachineState;
  readonly positions: readonly number[];
  readonly cardIds: readonly string[];
}

export class RulePolicy implements PlacementPolicy {
  readonly name: string;
  /** Tight machines first: that is where the rules look as well. */
  readonly roughScore = (view: AgentView): number => BEST_FIT.roughScore?.(view) ?? 0;
  readonly #maker: RuleMaker;
  readonly #fleet: LearnedFleet;
  readonly #mix = new TaskMix();
  readonly #history = new CardHistory();
  readonly #knownTasks = new Set<string>();
  #kinds = new MachineKinds();
  #rule: PlacementRule | null = null;
  #nextLesson = 0;

  constructor(maker: RuleMaker, fleet: LearnedFleet) {
    this.name = maker.name;
    this.#maker = maker;
    this.#fleet = fleet;
  }

  get mix(): TaskMix {
    return this.#mix;
  }

  /** A task asks for room; however often it asks, it has arrived once. */
  readonly arrive = (taskKey: string, needs: Needs): void => {
    if (this.#knownTasks.has(taskKey)) return;
    this.#knownTasks.add(taskKey);
    if (this.#knownTasks.size > MAX_KNOWN_TASKS) {
      const [oldest] = this.#knownTasks;
      if (oldest !== undefined) this.#knownTasks.delete(oldest);
    }
    this.#mix.arrive(placementShape(needs));
  };

  readonly choose = (candidates: readonly [Candidate, ...Candidate[]], needs: Needs): Choice => {
    const rule = this.#learned();
    const shape = placementShape(needs);
    let best: Best | null = null;
    for (const candidate of candidates) best = this.#better(rule, best, candidate, shape);
    if (best === null) {
      const [{ view, fit }] = candidates;
      return { agentId: view.agentId, cardIds: fit.cardIds };
    }
    if (this.#maker.learns) this.#history.note(best.state, best.positions, shape);
    return { agentId: best.candidate.view.agentId, cardIds: best.cardIds };
  };

  #better(rule: PlacementRule, known: Best | null, candidate: Candidate, shape: PlacementShape): Best | null {
    const { view } = candidate;
    const { state, order } = this.#kinds.machineOf(agentFacts(view));
    const after: MachineState = { ...state, cards: [] };
    let best = known;
    forEachOption(state, shape, admittedCards(shape, state.kind), after, (positions) => {
      const score = rule.score(state, after, shape);
      const isBetter =
        best === null || score > best.score || (score === best.score && view.agentId < best.candidate.view.agentId);
      if (!isBetter) return;
      const cardIds = positions.flatMap((position) => view.room.cards[order[position] ?? -1]?.cardId ?? []);
      best = { candidate, score, state, positions: [...positions], cardIds };
    });
    return best;
  }

  /** The rule, made anew when enough has been learned. */
  #learned(): PlacementRule {
    const { arrivals } = this.#mix;
    if (this.#rule !== null && arrivals < this.#nextLesson) return this.#rule;
    this.#kinds = new MachineKinds();
    const states = this.#states();
    if (this.#maker.learns) this.#history.count(states, arrivals);
    this.#nextLesson = nextLessonAfter(arrivals);
    this.#rule = this.#maker.make(fleetFacts(states), this.#mix, this.#history);
    return this.#rule;
  }

  /** What the fleet looks like: a sample stands for all. */
  #states(): readonly CountedState[] {
    const states = [...this.#fleet.sample(MAX_SAMPLED_AGENTS)].map(
      (view) => this.#kinds.machineOf(agentFacts(view)).state,
    );
    const count = states.length > 0 ? this.#fleet.size / states.length : 0;
    return states.map((state) => ({ state, count }));
  }
}
