/** What one registry process learns of the others. */
import { randomUUID } from "node:crypto";
import type { StatusWrite, StoredAgent, StoredReservation } from "@headroom/registry";
import { type AgentStatus, NO_FLAPS } from "@headroom/scheduling";
import { waitFor } from "@headroom/testing";
import { expect, it } from "vitest";
import { insertOf, type RegistryDesk, reservationOf } from "./fixtures.ts";

export function replicasConformance(desk: RegistryDesk): void {
  const { admit } = desk;

  it("tells another process what changed, and what was removed", async () => {
    const { nowMs } = await desk.store.ping();
    const { agentId, epoch } = await admit();
    const changed = await desk.second.loadChangedSince(nowMs - 1);
    expect(changed.agents.map((agent) => agent.agentId)).toContain(agentId);
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
    await desk.store.removeAgent(agentId);
    expect((await desk.second.loadChangedSince(nowMs - 1)).removedAgentIds).toContain(agentId);
  });

  it("tells of reservations what holds room, and of tombstones those that came or changed since", async () => {
    const { agentId } = await admit();
    const [old, raised, held] = [reservationOf(agentId), reservationOf(agentId), reservationOf(agentId)];
    for (const [version, row] of [old, raised, held].entries()) {
      await desk.store.commitReservations(insertOf(row, version, 60_000));
    }
    const end = async (row: StoredReservation, version: number, fence: number): Promise<number> => {
      const reservation = { ...row, fence, state: "released", leaseExpiresAtMs: null, releasedAtMs: 5 } as const;
      const outcome = await desk.store.commitReservations({
        guards: [{ agentId, version }],
        writes: [{ reservation, leaseMs: null, previousAgentId: agentId, endsNow: true, beginsNow: false }],
      });
      if (outcome.kind !== "committed") throw new Error("a conflict out of nowhere");
      return outcome.nowMs;
    };
    await end(old, 3, 1);
    const sinceMs = (await end(raised, 4, 1)) + 2;
    await waitFor(async () => (await desk.store.ping()).nowMs > sinceMs);
    await end(raised, 5, 2);
    const told = ({ agents }: { readonly agents: readonly StoredAgent[] }) =>
      [...(agents.find((agent) => agent.agentId === agentId)?.reservations.values() ?? [])]
        .map(({ attemptId, fence }) => `${attemptId} ${fence}`)
        .toSorted();
    const news = [`${held.attemptId} 1`, `${raised.attemptId} 2`].toSorted();
    expect(told(await desk.second.loadChangedSince(sinceMs))).toEqual(news);
    expect(told(await desk.second.loadFleet(sinceMs))).toEqual(news);
    expect(told(await desk.second.loadFleet(null))).toEqual([...news, `${old.attemptId} 1`].toSorted());
  });

  it("takes the states of an agent from the process that holds it alone, as long as that lives", async () => {
    const [holder, other] = [randomUUID(), randomUUID()];
    const { agentId, epoch } = await admit(randomUUID(), { replicaId: holder });
    const says = (replicaId: string, status: AgentStatus, statusSinceMs: number): StatusWrite => ({
      replicaId,
      agentId,
      epoch,
      status,
      statusReason: "",
      statusSinceMs,
      attached: true,
      ownerHold: false,
      flapping: NO_FLAPS,
    });
    const status = async () => (await desk.store.loadAgents([agentId])).agents[0]?.status;
    await desk.store.renewReplica(holder, 60_000);
    await desk.second.writeStatuses([says(other, "offline", 5)]);
    expect(await status()).toBe("online");
    await desk.store.writeStatuses([says(holder, "suspect", 6)]);
    expect(await status()).toBe("suspect");
    await desk.store.renewReplica(holder, 0);
    await desk.second.writeStatuses([says(other, "offline", 7)]);
    expect(await status()).toBe("offline");
  });

  it("knows which registry processes live", async () => {
    const [one, two] = [randomUUID(), randomUUID()];
    await desk.store.renewReplica(one, 60_000);
    await desk.second.renewReplica(two, 0);
    const seen = await desk.store.renewReplica(one, 60_000);
    const living = seen.replicas.filter(({ leaseExpiresAtMs }) => leaseExpiresAtMs > seen.nowMs);
    expect(living.map(({ replicaId }) => replicaId)).toContain(one);
    expect(living.map(({ replicaId }) => replicaId)).not.toContain(two);
    await desk.store.retireReplica(one);
    const after = await desk.second.renewReplica(two, 60_000);
    expect(after.replicas.map(({ replicaId }) => replicaId)).not.toContain(one);
  });
}
