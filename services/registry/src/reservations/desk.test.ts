import { silentLogger } from "@headroom/runtime";
import { expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { mergeLoaded } from "../fleet/merge-loaded.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import type { RegistryStore } from "../store/registry-store.ts";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { ReservationDesk } from "./desk.ts";
import { MemoryRows } from "./memory-rows.test-helper.ts";

const idOf = (each: number): string => `00000000-0000-4000-8000-0000000000a${each}`;

test("DESIGN-4: a list that comes late over an old stream gives up nothing that the agent's newer session has confirmed", async () => {
  const earlier = reservationWith({ attemptId: idOf(1), state: "confirmed", leaseExpiresAtMs: null });
  const since = reservationWith({ attemptId: idOf(2), state: "confirmed", leaseExpiresAtMs: null });
  const before = agentWith({ epoch: 1, guardVersion: 1, reservations: reservationsOf(earlier) });
  const { agentId } = before;
  // Another registry process has the agent by now, and has confirmed one thing more.
  const rows = new MemoryRows([{ ...before, epoch: 2, guardVersion: 2, reservations: reservationsOf(earlier, since) }]);
  const fleet = new Fleet("this registry");
  const desk = new ReservationDesk({
    fleet,
    // The desk uses no other part of the store.
    store: rows as Partial<RegistryStore> as RegistryStore,
    storeClock: new StoreClock({ now: () => rows.nowMs, monotonic: () => rows.nowMs }),
    logger: silentLogger,
    takeLoaded(agents) {
      for (const agent of agents) fleet.put(mergeLoaded(fleet.get(agent.agentId), agent, "another_living"));
    },
  });

  fleet.put({ ...before, sample: { ...sampleWith(16), attempts: [] } });
  desk.reconcileSoon(agentId, { by: "beat", epoch: 1, madeAfterMs: 0 });
  await desk.idle();

  expect(fleet.get(agentId)?.epoch).toBe(2);
  expect(rows.rows().map(({ attemptId, state }) => [attemptId, state])).toEqual([
    [idOf(1), "confirmed"],
    [idOf(2), "confirmed"],
  ]);
});
