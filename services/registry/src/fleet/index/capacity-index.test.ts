import { expect, test } from "vitest";
import { agentWith, sampleWith } from "../../test-agents.test-helper.ts";
import { Fleet } from "../fleet.ts";
import { CapacityIndex } from "./capacity-index.ts";

const idOf = (each: number): string => `00000000-0000-4000-8000-00000000000${each}`;

test("what is taken in unasked is bounded, and a question misses nothing of the rest", () => {
  const fleet = new Fleet("this registry");
  const index = new CapacityIndex(fleet);
  const figure = {
    name: "cores",
    valueOf: (agent: { sample: { cpu: { available: number } } | null }) => agent.sample?.cpu.available ?? 0,
  };
  for (const each of [1, 2, 3]) fleet.put(agentWith({ agentId: idOf(each), sample: sampleWith(each) }));
  const seen = (): string[] => {
    const agents: string[] = [];
    index.orderBy(figure).walk(null, (slot) => agents.push(index.agentAt(slot).agentId) > 0);
    return agents;
  };

  index.refreshSome(2);
  expect(seen()).toEqual([idOf(1), idOf(2)]);
  index.refresh();
  expect(seen()).toEqual([idOf(1), idOf(2), idOf(3)]);

  // The same agent many times is one change, and its newest state counts.
  for (const cores of [9, 8, 7]) fleet.put(agentWith({ agentId: idOf(1), sample: sampleWith(cores) }));
  fleet.remove(idOf(2));
  index.refreshSome(2);
  expect(seen()).toEqual([idOf(3), idOf(1)]);
});
