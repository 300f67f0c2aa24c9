/** Placement through the index against the predicate that explains. A failure prints its seed. */
import type { ReserveRequest } from "@headroom/contracts";
import {
  type AgentView,
  explain,
  NO_AMOUNTS,
  normalizeNeeds,
  REFUSAL_EXPLAINED_AGENTS,
  RULES,
} from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { viewOf } from "../fleet/agent-views.ts";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { placingOn } from "../placement/placing.test-helper.ts";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { Draft } from "./draft.ts";
import { reserveOperation } from "./reserve.ts";

const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

const dimensionsOf = ({ room }: AgentView) => [room.cpu, room.memory, ...room.cards];

const anyAgent = fc.record({
  cores: fc.nat(16),
  vramMib: fc.nat(24_576),
  pool: fc.constantFrom("lab", "render"),
  site: fc.constantFrom("north", "south"),
  attached: fc.constantFrom(true, true, false),
  cordoned: fc.constantFrom(false, false, true),
  holds: fc.boolean(),
});

const anyNeeds = fc
  .record({
    cpuMillicores: fc.nat(16_000),
    gpuCount: fc.constantFrom(0, 0, 1, 2),
    gpuVramMib: fc.nat(24_576),
    gpuExclusive: fc.boolean(),
    gpuModels: fc.constantFrom([], ["4090"], ["3080"]),
    pool: fc.constantFrom(null, null, "lab"),
    labels: fc.constantFrom<Record<string, string>[]>({}, { site: "north" }),
    agentId: fc.constantFrom(null, null, null, idOf(1)),
  })
  .map(normalizeNeeds);

const anyFleet = fc.array(anyAgent, { maxLength: 60 }).map((makes) => {
  const fleet = new Fleet("r");
  makes.forEach(({ cores, vramMib, pool, site, attached, cordoned, holds }, number) => {
    const agentId = idOf(number);
    const held = reservationWith({ agentId, attemptId: idOf(100_000 + number) });
    fleet.put(
      agentWith({
        agentId,
        poolName: pool,
        labels: { site },
        attached,
        cordoned,
        sample: sampleWith(cores, vramMib),
        reservations: holds ? reservationsOf(held) : reservationsOf(),
      }),
    );
  });
  return fleet;
});

/** Agents that a request avoids: mostly none. */
const anyAvoided = fc
  .oneof(fc.constant<number[]>([]), fc.uniqueArray(fc.nat(8), { maxLength: 6 }))
  .map((numbers): ReadonlySet<string> => new Set(numbers.map(idOf)));

/** What one request asks for. The same needs come again as the same object, as those of a call do, with other agents to avoid. */
const anyAsked = fc
  .tuple(
    fc.array(anyNeeds, { minLength: 1, maxLength: 20 }),
    fc.array(fc.record({ which: fc.nat(19), avoidAgentIds: anyAvoided }), { minLength: 1, maxLength: 60 }),
  )
  .map(([all, picks]) => picks.map(({ which, avoidAgentIds }) => ({ needs: all[which % all.length]!, avoidAgentIds })));

function requestOf(
  number: number,
  needs: ReserveRequest["needs"],
  avoidAgentIds: ReadonlySet<string> = new Set(),
): ReserveRequest {
  const nothing = { kind: "attempt" as const, expectedDurationMs: null, taskId: "", planId: "" };
  return { attemptId: idOf(200_000 + number), fence: 1, needs, avoidAgentIds, ...nothing };
}

function reserveIn(
  fleet: Fleet,
  index: CapacityIndex,
  draft: Draft,
  placing: ReturnType<typeof placingOn>,
  requests: ReserveRequest[],
) {
  const revision = () => fleet.revision;
  const options = { allOrNothing: false, index, heartbeatIntervalMs: 5_000, ...placing, random: 0, revision };
  return reserveOperation(requests, options).plan(draft).results;
}

describe("placement through the index", () => {
  const anyPolicy = fc.constantFrom(...RULES.keys());

  it("DESIGN-3: reserves exactly when the explanation says that it fits, request after request", () => {
    fc.assert(
      fc.property(anyFleet, anyAsked, anyPolicy, (fleet, all, policy) => {
        const index = new CapacityIndex(fleet);
        const placing = placingOn(fleet, index, policy);
        const draft = new Draft(fleet, 0);
        all.slice(0, 30).forEach(({ needs, avoidAgentIds }, number) => {
          const told = explain(draft.views(), needs, { avoidAgentIds }, REFUSAL_EXPLAINED_AGENTS);
          const [result] = reserveIn(fleet, index, draft, placing, [requestOf(number, needs, avoidAgentIds)]);
          expect(result!.kind).toBe(told.verdict === "fits" ? "reserved" : "no_room");
          if (result!.kind === "no_room") expect(result!.explanation).toEqual(told);
        });
      }),
    );
  }, 60_000);

  it("I3: a batch never promises more than is free, per dimension and card, and gives up only where nothing fits", () => {
    fc.assert(
      fc.property(anyFleet, anyAsked, anyPolicy, (fleet, all, policy) => {
        const index = new CapacityIndex(fleet);
        const placing = placingOn(fleet, index, policy);
        const draft = new Draft(fleet, 0);
        const results = reserveIn(
          fleet,
          index,
          draft,
          placing,
          all.map(({ needs, avoidAgentIds }, number) => requestOf(number, needs, avoidAgentIds)),
        );
        for (const agent of draft.changedAgents()) {
          const before = dimensionsOf(viewOf(fleet.get(agent.agentId)!));
          dimensionsOf(viewOf(agent)).forEach(({ held, ceiling, foreign, total }, index) => {
            // What it held before may be more than it has by now; no promise is then added.
            const most = Math.max(Math.min(total - foreign, ceiling), before[index]!.held);
            expect(held).toBeLessThanOrEqual(most);
          });
        }
        results.forEach((result, number) => {
          const { needs, avoidAgentIds } = all[number]!;
          if (result.kind === "reserved") expect(avoidAgentIds).not.toContain(result.reservation.agentId);
          else expect(explain(draft.views(), needs, { avoidAgentIds }).verdict).not.toBe("fits");
        });
      }),
    );
  }, 60_000);

  it("DESIGN-3: what one request of a batch avoids is not kept from the next one with the same needs", () => {
    const fleet = new Fleet("r");
    fleet.put(agentWith({ agentId: idOf(1), poolName: "lab" }));
    const index = new CapacityIndex(fleet);
    const draft = new Draft(fleet, 0);
    const needs = normalizeNeeds({ cpuMillicores: 1_000, pool: "lab" });
    const requests = [requestOf(1, needs, new Set([idOf(1)])), requestOf(2, needs)];
    const results = reserveIn(fleet, index, draft, placingOn(fleet, index, "stranded"), requests);
    expect(results.map(({ kind }) => kind)).toEqual(["no_room", "reserved"]);
  });

  it("DESIGN-3: room that the same group of operations gives back can be promised at once", () => {
    const fleet = new Fleet("r");
    const held = reservationWith({ agentId: idOf(1), reserved: { ...NO_AMOUNTS, cpuMillicores: 16_000 } });
    fleet.put(agentWith({ agentId: idOf(1), reservations: reservationsOf(held) }));
    const index = new CapacityIndex(fleet);
    const placing = placingOn(fleet, index, "stranded");
    const draft = new Draft(fleet, 0);
    const needs = normalizeNeeds({ cpuMillicores: 16_000 });
    expect(reserveIn(fleet, index, draft, placing, [requestOf(1, needs)])[0]!.kind).toBe("no_room");
    draft.put({ ...held, state: "released", releasedAtMs: 0 });
    expect(reserveIn(fleet, index, draft, placing, [requestOf(1, needs)])[0]!.kind).toBe("reserved");
  });
});
