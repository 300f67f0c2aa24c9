/**
 * A rule as the registry asks it: the engine of the simulation over the registry's agents, kept in step with them. The same rule on
 * the same states, having seen the same tasks, chooses the same machine.
 */
import type { AgentView } from "../agent-view.ts";
import type { Needs } from "../needs.ts";
import type { Candidate, Choice, PlacementPolicy } from "../placement.ts";
import { type Experience, PlacementEngine } from "./engine.ts";
import { agentFacts, MachineKinds } from "./machine-kinds.ts";
import type { RuleMaker } from "./rules.ts";
import { placementShape } from "./shape.ts";
import type { Accepts } from "./shape-ranking.ts";
import type { StateSlots } from "./state-slots.ts";

export class RulePolicy implements PlacementPolicy {
  readonly name: string;
  readonly #engine: PlacementEngine;
  readonly #kinds = new MachineKinds();

  /** `slots`: the agents that take work, in the states that they are in. */
  constructor(maker: RuleMaker, experience: Experience, slots: StateSlots) {
    this.name = maker.name;
    this.#engine = new PlacementEngine(maker, experience, slots);
  }

  /** Among all agents. `accepts` is asked for the best first, until it says yes. Null: it never does. */
  chooseOfAll(
    needs: Needs,
    accepts: Accepts,
  ): { readonly agentId: string; readonly positions: readonly number[] } | null {
    const placed = this.#engine.choose(placementShape(needs), accepts);
    return placed === null ? null : { agentId: placed.machineId, positions: placed.positions };
  }

  /** The same among a few. */
  chooseOf(agentIds: Iterable<string>, needs: Needs, accepts: Accepts): ReturnType<RulePolicy["chooseOfAll"]> {
    const placed = this.#engine.chooseOf(agentIds, placementShape(needs), accepts);
    return placed === null ? null : { agentId: placed.machineId, positions: placed.positions };
  }

  /** The cards at these positions of the agent's state. */
  cardIds({ room }: Pick<AgentView, "room">, positions: readonly number[]): readonly string[] {
    if (positions.length === 0) return [];
    const { order } = this.#kinds.machineOf(agentFacts({ room }));
    return positions.flatMap((position) => room.cards[order[position] ?? -1]?.cardId ?? []);
  }

  /** Among a few that are given, for questions that are not asked of all agents. */
  readonly choose = (candidates: readonly [Candidate, ...Candidate[]], needs: Needs): Choice => {
    const shape = placementShape(needs);
    let best: { readonly view: AgentView; readonly score: number; readonly positions: readonly number[] } | null = null;
    for (const { view } of candidates) {
      const way = this.#engine.bestWay(this.#kinds.machineOf(agentFacts(view)).state, shape);
      if (way === null) continue;
      const isBetter =
        best === null || way.score > best.score || (way.score === best.score && view.agentId < best.view.agentId);
      if (isBetter) best = { view, score: way.score, positions: way.positions };
    }
    if (best !== null) return { agentId: best.view.agentId, cardIds: this.cardIds(best.view, best.positions) };
    const [{ view, fit }] = candidates;
    return { agentId: view.agentId, cardIds: fit.cardIds };
  };
}
