/** What one registry process learns of the others. */
import { randomUUID } from "node:crypto";
import { NO_FLAPS } from "@headroom/scheduling";
import { expect, it } from "vitest";
import type { RegistryDesk } from "./fixtures.ts";

export function replicasConformance(desk: RegistryDesk): void {
  const { admit } = desk;

  it("tells another process what changed, and what was removed", async () => {
    const { nowMs } = await desk.store.ping();
    const { agentId, epoch } = await admit();
    const changed = await desk.second.loadChangedSince(nowMs - 1);
    expect(changed.agents.map((agent) => agent.agentId)).toContain(agentId);
    await desk.store.writeStatuses([
      {
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
