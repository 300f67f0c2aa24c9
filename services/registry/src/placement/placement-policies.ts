/** The placement policies of a registry, by name: one fleet and one experience, whichever is asked for. */
import { type Experience, RulePolicy, RULES } from "@headroom/scheduling";
import type { AgentStates } from "./agent-states.ts";

export const PLACEMENT_POLICIES: readonly string[] = [...RULES.keys()];

export class PlacementPolicies {
  readonly defaultName: string;
  readonly #states: AgentStates;
  readonly #experience: Experience;
  readonly #made = new Map<string, RulePolicy>();

  constructor(defaultName: string, states: AgentStates, experience: Experience) {
    this.defaultName = defaultName;
    this.#states = states;
    this.#experience = experience;
  }

  /** Empty: the registry's own. Null: none is called so. */
  named(name: string): RulePolicy | null {
    const wanted = name === "" ? this.defaultName : name;
    const known = this.#made.get(wanted);
    if (known !== undefined) return known;
    const maker = RULES.get(wanted);
    if (maker === undefined) return null;
    const policy = new RulePolicy(maker, this.#experience, this.#states.slots);
    this.#made.set(wanted, policy);
    return policy;
  }
}
