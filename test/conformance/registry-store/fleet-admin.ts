/** What operators ask for: cordon, drain, remove, confirm losses. */
import { randomUUID } from "node:crypto";
import { NO_FLAPS } from "@headroom/scheduling";
import type { StoredReservation } from "@headroom/registry";
import { expect, it } from "vitest";
import { insertOf, reservationOf, type RegistryDesk } from "./fixtures.ts";

export function fleetAdminConformance(desk: RegistryDesk): void {
  const { admit } = desk;

  it("cordons and uncordons; an unknown agent is null", async () => {
    const { agentId } = await admit();
    expect(await desk.store.setCordon(agentId, true, "disk")).toMatchObject({ cordoned: true, cordonReason: "disk" });
    expect(await desk.store.setCordon(agentId, false, "")).toMatchObject({ cordoned: false, cordonReason: "" });
    expect(await desk.store.setCordon(randomUUID(), true, "")).toBeNull();
  });

  it("drains an agent behind its guard, and ends the drain when nothing has room there", async () => {
    const { agentId } = await admit();
    const reservation = reservationOf(agentId);
    await desk.store.commitReservations(insertOf(reservation, 0));
    const { nowMs } = await desk.store.ping();
    const drained = await desk.store.startDrain(agentId, 60_000, "disk");
    expect(drained).toMatchObject({ cordoned: true, draining: true, cordonReason: "disk", guardVersion: 2 });
    expect(drained!.drainDeadlineMs! - nowMs).toBeGreaterThan(50_000);
    expect(drained!.drainDeadlineMs! - nowMs).toBeLessThan(90_000);
    expect(await desk.store.commitReservations(insertOf(reservationOf(agentId), 1))).toMatchObject({
      kind: "conflict",
    });
    const [still] = (await desk.store.endDrains([agentId, randomUUID()])).agents;
    expect(still).toMatchObject({ agentId, draining: true, cordonReason: "disk" });
    const ended: StoredReservation = { ...reservation, state: "released", leaseExpiresAtMs: null, releasedAtMs: 5 };
    await desk.store.commitReservations({
      guards: [{ agentId, version: 2 }],
      writes: [{ reservation: ended, leaseMs: null, previousAgentId: agentId, endsNow: true, beginsNow: false }],
    });
    const [after] = (await desk.store.endDrains([agentId])).agents;
    expect(after).toMatchObject({ cordoned: true, draining: false, drainDeadlineMs: null });
    expect(after!.cordonReason).toBe("disk (drained)");
    // Whoever asks again has not heard of it: the answer was lost.
    expect((await desk.store.endDrains([agentId])).agents).toEqual([after]);
    expect(await desk.store.startDrain(randomUUID(), null, "")).toBeNull();
  });

  it("an uncordon ends a drain; a drain without a deadline has none", async () => {
    const { agentId } = await admit();
    expect(await desk.store.startDrain(agentId, null, "")).toMatchObject({ draining: true, drainDeadlineMs: null });
    expect(await desk.store.setCordon(agentId, false, "")).toMatchObject({ cordoned: false, draining: false });
  });

  it("tells every living process that losses were confirmed", async () => {
    const one = randomUUID();
    expect((await desk.store.renewReplica(one, 60_000)).lossesConfirmedAtMs).toBeNull();
    const { nowMs } = await desk.second.confirmLosses();
    expect((await desk.store.renewReplica(one, 60_000)).lossesConfirmedAtMs).toBeGreaterThanOrEqual(nowMs);
    await desk.store.retireReplica(one);
  });

  it("removes only an agent that is offline, with its reservations, and takes it back at a Hello", async () => {
    const { agentId, epoch } = await admit();
    await desk.store.commitReservations(insertOf(reservationOf(agentId), 0));
    expect(await desk.store.removeAgent(agentId)).toBe("not_offline");
    await desk.store.writeStatuses([
      {
        replicaId: randomUUID(),
        agentId,
        epoch,
        status: "offline",
        statusReason: "",
        statusSinceMs: 5,
        attached: false,
        ownerHold: false,
        flapping: NO_FLAPS,
      },
    ]);
    expect(await desk.store.removeAgent(agentId)).toBe("removed");
    expect(await desk.store.removeAgent(agentId)).toBe("removed_before");
    expect(await desk.store.removeAgent(randomUUID())).toBe("not_found");
    expect((await desk.store.loadAgents([agentId])).agents).toEqual([]);
    const back = await admit(agentId);
    expect(back.epoch).toBe(epoch + 1);
    expect(back.reservations.size).toBe(0);
  });
}
