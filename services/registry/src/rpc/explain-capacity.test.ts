import { wire } from "@headroom/contracts";
import type { CallContext, Caller } from "@headroom/rpc";
import { expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import type { HandlerDeps } from "./deps.ts";
import { explainCapacity } from "./explain-capacity.ts";

const AGENTS = 150;

/** How many agents' verdicts a caller with these roles is told. */
async function verdictsFor(roles: Caller["roles"], maxAgents: number): Promise<number> {
  const fleet = new Fleet("here");
  const index = new CapacityIndex(fleet);
  for (let number = 0; number < AGENTS; number += 1) {
    fleet.put(agentWith({ agentId: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}` }));
  }
  const deps = { requireReady: () => undefined, index, fleet, storeClock: { now: () => 0 } } as unknown as HandlerDeps;
  const needs = wire.ResourceNeeds.fromPartial({ cpuCores: 1_000 });
  const context = { caller: { roles } } as unknown as CallContext;
  const { explanation } = await explainCapacity(deps)(
    wire.ExplainCapacityRequest.fromPartial({ needs, maxAgents }),
    context,
  );
  expect(explanation?.agentsJudged).toBe(AGENTS);
  return explanation?.agents.length ?? 0;
}

it("a caller without a role is told the verdicts of 100 agents at most, however many it asks for", async () => {
  expect(await verdictsFor(new Set(), 1_000)).toBe(100);
  expect(await verdictsFor(new Set(), 7)).toBe(7);
  expect(await verdictsFor(new Set(), 0)).toBe(20);
  expect(await verdictsFor(new Set(["planner"]), 1_000)).toBe(AGENTS);
});
