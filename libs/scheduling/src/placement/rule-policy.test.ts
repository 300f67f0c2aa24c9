/** Simulation and registry ask the same rule: on the same fleet they choose the same machine. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyFleet, anyNeeds } from "../arbitraries.test-helper.ts";
import { placeBatch } from "../placement.ts";
import { candidatesAmong } from "../placement-board.ts";
import { PlacementEngine } from "./engine.ts";
import { agentFacts, MachineKinds } from "./machine-kinds.ts";
import { RulePolicy } from "./rule-policy.ts";
import { RULES } from "./rules.ts";
import { CardHistory } from "./card-history.ts";
import { placementShape } from "./shape.ts";
import { StateSlots } from "./state-slots.ts";
import { TaskMix } from "./task-mix.ts";

describe.each([...RULES.values()])("the policy $name", (rule) => {
  it("chooses the same machine in a simulation and in the registry, having seen the same tasks", () => {
    fc.assert(
      fc.property(anyFleet, fc.array(anyNeeds, { minLength: 1, maxLength: 8 }), (fleet, arrivals) => {
        const [needs] = arrivals;
        if (needs === undefined) return;
        // Whether an agent may be used at all is not the rule's affair.
        const views = candidatesAmong(fleet, needs).map(({ view }) => view);
        const experience = { mix: new TaskMix(), history: new CardHistory() };
        const slots = new StateSlots();
        const policy = new RulePolicy(rule, experience, slots);
        const engine = new PlacementEngine(rule);
        const kinds = new MachineKinds();
        for (const view of views) {
          engine.put(view.agentId, kinds.machineOf(agentFacts(view)).state);
          slots.put(view.agentId, kinds.machineOf(agentFacts(view)).state);
        }
        for (const arrived of arrivals) {
          experience.mix.arrive(placementShape(arrived));
          engine.mix.arrive(placementShape(arrived));
        }
        // Among candidates that are given, and of all that are known.
        const [placed] = placeBatch(views, [{ attemptId: "new", needs }], policy, { random: 0 });
        const ofAll = policy.chooseOfAll(needs, () => true);
        const simulated = engine.choose(placementShape(needs));
        expect(placed?.kind === "reserved" ? placed.agentId : null).toBe(simulated?.machineId ?? null);
        expect(ofAll?.agentId ?? null).toBe(simulated?.machineId ?? null);
        expect(ofAll?.positions ?? null).toEqual(simulated?.positions ?? null);
      }),
    );
  });
});
