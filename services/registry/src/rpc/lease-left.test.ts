/** What callers are told of a lease, in virtual time. */
import { msFromDuration, wire } from "@headroom/contracts";
import type { CallContext } from "@headroom/rpc";
import { CardHistory, TaskMix } from "@headroom/scheduling";
import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { AgentStates } from "../placement/agent-states.ts";
import { Arrivals } from "../placement/arrivals.ts";
import { PlacementPolicies } from "../placement/placement-policies.ts";
import { ReservationDesk } from "../reservations/desk.ts";
import { MemoryRows } from "../reservations/memory-rows.test-helper.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import type { HandlerDeps } from "./deps.ts";
import { renewReservations } from "./renew-reservations.ts";
import { reserveCapacity } from "./reserve-capacity.ts";

const attemptId = "00000000-0000-4000-8000-0000000000a1";
const COMMIT_MS = 4_000;

/** A registry whose commits take long: the store reads its clock at their begin, and they wait for a lock before they answer. */
function setUp() {
  const ports = manualPorts();
  const logger = captureLogger();
  const fleet = new Fleet("r");
  const rows = new MemoryRows([agentWith()]);
  for (const agent of rows.agents()) fleet.put(agent);
  const index = new CapacityIndex(fleet);
  const states = new AgentStates(fleet);
  const experience = { mix: new TaskMix(), history: new CardHistory() };
  const storeClock = new StoreClock(ports.clock);
  const store = storeStub({
    async commitReservations(commit) {
      rows.nowMs = ports.clock.now();
      const outcome = await rows.commitReservations(commit);
      ports.clock.pass(COMMIT_MS);
      return outcome;
    },
  });
  const deps: Partial<HandlerDeps> = {
    heartbeatIntervalMs: 5_000,
    placement: {
      policies: new PlacementPolicies("stranded", states, experience),
      states,
      arrivals: new Arrivals(experience),
      experience,
    } as Partial<HandlerDeps["placement"]> as HandlerDeps["placement"],
    fleet,
    index,
    desk: new ReservationDesk({ fleet, store, storeClock, logger, takeLoaded: () => undefined }),
    storeClock,
    random: ports.random,
    timers: ports.timers,
    requireReady: () => undefined,
    catchUp: () => Promise.resolve(),
  };
  const context = { logger } as Partial<CallContext> as CallContext;
  return {
    leftInStoreMs: () => rows.row(attemptId)!.leaseExpiresAtMs! - ports.clock.now(),
    reserve: async (): Promise<number | null> => {
      const reserve = wire.Reserve.fromPartial({ attemptId, fence: 1, needs: { cpuCores: 1 } });
      const request = wire.ReserveCapacityRequest.fromPartial({ reservations: [reserve] });
      const { results } = await reserveCapacity(deps as HandlerDeps)(request, context);
      const outcome = results[0]?.outcome;
      return outcome?.$case === "reserved" ? msFromDuration(outcome.value.leaseLeft) : null;
    },
    renew: async (): Promise<number | null> => {
      const request = { attempts: [{ attemptId, fence: 1 }] };
      const { results } = await renewReservations(deps as HandlerDeps)(request, context);
      return msFromDuration(results[0]?.leaseLeft);
    },
  };
}

it("DESIGN-3: what is left of a lease is told less what its commit has taken", async () => {
  const { reserve, renew, leftInStoreMs } = setUp();
  for (const ask of [reserve, renew, reserve]) {
    expect(await ask()).toBe(30_000 - COMMIT_MS);
    expect(leftInStoreMs()).toBe(30_000 - COMMIT_MS);
  }
});
