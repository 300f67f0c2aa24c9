/** The registry's placement policy, by the name that its configuration gives. */
import { BEST_FIT, POLICY_NAMES, policyNamed, type PlacementPolicy, RulePolicy, RULES } from "@headroom/scheduling";
import { viewOf } from "./fleet/agent-views.ts";
import type { Fleet } from "./fleet/fleet.ts";

export const PLACEMENT_POLICIES: readonly string[] = [...new Set([...POLICY_NAMES, ...RULES.keys()])];

export function createPlacementPolicy(name: string, fleet: Fleet): PlacementPolicy {
  const plain = policyNamed(name);
  const rule = RULES.get(name);
  if (plain !== null || rule === undefined) return plain ?? BEST_FIT;
  return new RulePolicy(rule, {
    get size() {
      return fleet.size;
    },
    *sample(count) {
      let left = count;
      for (const agent of fleet.agents()) {
        if (left <= 0) return;
        left -= 1;
        yield viewOf(agent);
      }
    },
  });
}
