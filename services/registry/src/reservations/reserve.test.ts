/** What becomes of room that was kept for a waiting task when the task starts. */
import type { ReserveRequest } from "@headroom/contracts";
import { normalizeNeeds } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { placingOn } from "../placement/placing.test-helper.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { Draft } from "./draft.ts";
import { reserveOperation, type ReserveResult } from "./reserve.ts";

const HERE = "00000000-0000-4000-8000-000000000001";
const ELSEWHERE = "00000000-0000-4000-8000-000000000002";
const needs = normalizeNeeds({ cpuMillicores: 16_000 });
const request: ReserveRequest = {
  attemptId: "00000000-0000-4000-8000-0000000000a1",
  fence: 1,
  needs,
  avoidAgentIds: new Set(),
  kind: "attempt",
  expectedDurationMs: null,
  taskId: "",
  planId: "",
};

/** A registry without socket and database. */
class Registry {
  readonly #fleet = new Fleet("r");
  readonly #index = new CapacityIndex(this.#fleet);
  readonly #placing = placingOn(this.#fleet, this.#index, "stranded");

  join(agentId: string): void {
    this.#fleet.put(agentWith({ agentId }));
  }

  set(agentId: string, change: Partial<StoredAgent>): void {
    this.#fleet.put({ ...this.#fleet.get(agentId)!, ...change });
  }

  /** Answered, and committed. */
  reserve(...requests: readonly ReserveRequest[]): readonly ReserveResult[] {
    const draft = new Draft(this.#fleet, 0);
    const options = { index: this.#index, heartbeatIntervalMs: 5_000, ...this.#placing, random: 0 };
    const revision = () => this.#fleet.revision;
    const { results } = reserveOperation(requests, { ...options, allOrNothing: false, revision }).plan(draft);
    for (const agent of [...draft.changedAgents()]) this.#fleet.put(agent);
    return results;
  }

  held(): readonly (readonly [string, string, string])[] {
    return [...this.#fleet.agents()].flatMap(({ agentId, reservations }) =>
      [...reservations.held()].map(({ attemptId, state }) => [agentId, attemptId, state] as const),
    );
  }
}

/** Room is kept on the one agent that there is. */
function withKeptRoom(): Registry {
  const registry = new Registry();
  registry.join(HERE);
  expect(registry.reserve({ ...request, kind: "hold" })).toMatchObject([{ kind: "reserved" }]);
  return registry;
}

const takesNoWork: readonly (readonly [string, Partial<StoredAgent>])[] = [
  ["offline", { status: "offline" }],
  ["suspect", { status: "suspect" }],
  ["cordoned", { cordoned: true }],
  ["draining", { draining: true }],
  ["held by its owner", { ownerHold: true }],
  ["on probation", { flapping: { flaps: 4, lastFlapAtMs: 1, probationUntilMs: 10 } }],
  ["not attached", { attached: false }],
];

describe("an attempt for which room was kept", () => {
  it("DESIGN-3: has it in one step", () => {
    const registry = withKeptRoom();
    expect(registry.reserve(request)).toMatchObject([{ kind: "reserved", reservation: { agentId: HERE } }]);
    expect(registry.held()).toEqual([[HERE, request.attemptId, "unconfirmed"]]);
  });

  it.each(takesNoWork)("V14: is placed anew where the agent is %s, and nothing is kept there any more", (_, state) => {
    const registry = withKeptRoom();
    registry.set(HERE, state);
    registry.join(ELSEWHERE);
    expect(registry.reserve({ ...request, fence: 2 })).toMatchObject([
      { kind: "reserved", reservation: { agentId: ELSEWHERE, fence: 2, state: "unconfirmed" } },
    ]);
    expect(registry.held()).toEqual([[ELSEWHERE, request.attemptId, "unconfirmed"]]);
  });

  it("V14: is placed anew where it avoids the agent", () => {
    const registry = withKeptRoom();
    registry.join(ELSEWHERE);
    expect(registry.reserve({ ...request, avoidAgentIds: new Set([HERE]) })).toMatchObject([
      { kind: "reserved", reservation: { agentId: ELSEWHERE } },
    ]);
  });

  it("V14: is refused where there is no other room; what was kept stays as it was", () => {
    const registry = withKeptRoom();
    registry.set(HERE, { cordoned: true });
    expect(registry.reserve(request)).toMatchObject([{ kind: "no_room" }]);
    expect(registry.held()).toEqual([[HERE, request.attemptId, "hold"]]);
    registry.set(HERE, { cordoned: false });
    expect(registry.reserve(request)).toMatchObject([{ kind: "reserved", reservation: { agentId: HERE } }]);
  });

  it("V14: room that is kept on is renewed there, whatever the agent does meanwhile", () => {
    const registry = withKeptRoom();
    registry.set(HERE, { cordoned: true });
    registry.join(ELSEWHERE);
    expect(registry.reserve({ ...request, kind: "hold" })).toMatchObject([{ reservation: { agentId: HERE } }]);
    expect(registry.held()).toEqual([[HERE, request.attemptId, "hold"]]);
  });

  it("V21: gets the same answer again once it was promised room, whatever the agent does meanwhile", () => {
    const registry = withKeptRoom();
    registry.reserve(request);
    registry.set(HERE, { cordoned: true, status: "suspect" });
    registry.join(ELSEWHERE);
    expect(registry.reserve({ ...request, avoidAgentIds: new Set([HERE]) })).toMatchObject([
      { kind: "reserved", reservation: { agentId: HERE } },
    ]);
  });
});
