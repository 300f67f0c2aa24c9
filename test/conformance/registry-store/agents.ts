/** Agents are let in, beat, and are written down. */
import { randomUUID } from "node:crypto";
import { NO_FLAPS } from "@headroom/scheduling";
import { expect, it } from "vitest";
import { admissionOf, sampleOf, type RegistryDesk } from "./fixtures.ts";

export function agentsConformance(desk: RegistryDesk): void {
  const { admit, load } = desk;

  it("registers an agent at its first Hello and counts the epoch up with each", async () => {
    const first = await admit();
    expect(first).toMatchObject({ epoch: 1, guardVersion: 0, status: "online", sample: null, cordoned: false });
    expect(first.labels).toEqual({ site: "north" });
    const again = await admit(first.agentId);
    expect(again.epoch).toBe(2);
    expect(again.firstSeenAtMs).toBe(first.firstSeenAtMs);
  });

  it("admits many at once and answers each", async () => {
    const ids = Array.from({ length: 50 }, () => randomUUID());
    const { agents } = await desk.store.admit(ids.map((agentId) => admissionOf(agentId)));
    expect(new Set(agents.map((agent) => agent.agentId))).toEqual(new Set(ids));
  });

  it("keeps a sample exactly as it was", async () => {
    const { agentId, epoch } = await admit();
    const sample = sampleOf();
    await desk.store.writeBeats([{ agentId, epoch, silentMs: 0, sample }]);
    expect((await load(agentId)).sample).toEqual(sample);
  });

  it("V25: what was measured before the present session is told to nobody", async () => {
    const { agentId, epoch } = await admit();
    await desk.store.writeBeats([{ agentId, epoch, silentMs: 0, sample: sampleOf() }]);
    expect(await admit(agentId)).toMatchObject({ epoch: epoch + 1, sample: null });
    expect((await load(agentId)).sample).toBeNull();
    const sample = sampleOf();
    await desk.store.writeBeats([{ agentId, epoch: epoch + 1, silentMs: 0, sample }]);
    expect((await load(agentId)).sample).toEqual(sample);
  });

  it("ignores beats and states of an older epoch", async () => {
    const { agentId } = await admit();
    await admit(agentId);
    await desk.store.writeBeats([{ agentId, epoch: 1, silentMs: 0, sample: sampleOf() }]);
    await desk.store.writeStatuses([
      {
        replicaId: randomUUID(),
        agentId,
        epoch: 1,
        status: "offline",
        statusReason: "late",
        statusSinceMs: 5,
        attached: false,
        ownerHold: true,
        flapping: NO_FLAPS,
      },
    ]);
    expect(await load(agentId)).toMatchObject({ sample: null, status: "online", attached: true, ownerHold: false });
  });

  it("writes states of the present epoch", async () => {
    const { agentId, epoch } = await admit();
    const state = { status: "suspect", statusReason: "its stream closed", statusSinceMs: 1_700_000_000_123 } as const;
    const flapping = { flaps: 4, lastFlapAtMs: 1_700_000_000_124, probationUntilMs: 1_700_000_030_125 };
    await desk.store.writeStatuses([
      { replicaId: randomUUID(), agentId, epoch, ...state, attached: false, ownerHold: true, flapping },
    ]);
    expect(await load(agentId)).toMatchObject({ ...state, attached: false, ownerHold: true, flapping });
    expect((await admit(agentId)).flapping).toEqual(flapping);
  });

  it("never moves a guard with beats, states or cordons", async () => {
    const { agentId, epoch } = await admit();
    await desk.store.writeBeats([{ agentId, epoch, silentMs: 0, sample: sampleOf() }]);
    await desk.store.writeStatuses([
      {
        replicaId: randomUUID(),
        agentId,
        epoch,
        status: "online",
        statusReason: "",
        statusSinceMs: 5,
        attached: true,
        ownerHold: false,
        flapping: NO_FLAPS,
      },
    ]);
    await desk.store.setCordon(agentId, true, "");
    expect((await load(agentId)).guardVersion).toBe(0);
  });

  it("of two starts of an agent at two living processes one is a clone, and changes nothing", async () => {
    const agentId = randomUUID();
    const [one, two] = [randomUUID(), randomUUID()];
    await desk.store.renewReplica(one, 60_000);
    await desk.store.renewReplica(two, 60_000);
    const first = admissionOf(agentId, { replicaId: one });
    expect((await desk.store.admit([first])).refused).toEqual([]);
    const other = admissionOf(agentId, { replicaId: two });
    const refused = await desk.second.admit([{ ...other, identity: { ...other.identity, hostname: "copy" } }]);
    expect(refused.refused).toEqual([{ agentId, why: "cloned" }]);
    expect(await load(agentId)).toMatchObject({ epoch: 1, incarnation: first.incarnation, hostname: "desk-1" });
    // The same start may go where it likes, and another one may come once the first is in doubt or its process gone.
    expect((await desk.store.admit([{ ...first, replicaId: two }])).agents[0]).toMatchObject({
      epoch: 2,
      replicaId: two,
    });
    await desk.store.retireReplica(two);
    expect((await desk.store.admit([admissionOf(agentId, { replicaId: one })])).refused).toEqual([]);
    await desk.store.retireReplica(one);
  });

  it("a Hello that comes after a newer one of the same start is late, and changes nothing", async () => {
    const agentId = randomUUID();
    const newer = admissionOf(agentId, { session: 3 });
    expect((await desk.store.admit([newer])).refused).toEqual([]);
    const late = { ...newer, session: 2, replicaId: randomUUID(), attached: false };
    expect((await desk.second.admit([late])).refused).toEqual([{ agentId, why: "late" }]);
    expect(await load(agentId)).toMatchObject({ epoch: 1, replicaId: newer.replicaId, attached: true });
    // The next of the same start, the first of a later one, and one that does not count are not late.
    expect((await desk.store.admit([{ ...newer, session: 4 }])).agents[0]).toMatchObject({ epoch: 2 });
    expect(
      (await desk.store.admit([admissionOf(agentId, { session: 5, replicaId: newer.replicaId })])).refused,
    ).toEqual([]);
    expect((await desk.store.admit([{ ...newer, session: 0 }])).refused).toEqual([]);
  });

  it("a Hello of a former start, or of a folder brought back from a backup, waits until the later one is offline", async () => {
    const agentId = randomUUID();
    const later = admissionOf(agentId, { session: 300 });
    expect((await desk.store.admit([later])).refused).toEqual([]);
    const former = admissionOf(agentId, { session: 200, replicaId: later.replicaId });
    const isAs = async (status: "suspect" | "offline") => {
      const state = { status, statusReason: "silent", statusSinceMs: 1_700_000_000_123, flapping: NO_FLAPS };
      const { replicaId } = later;
      await desk.store.writeStatuses([{ agentId, epoch: 1, replicaId, attached: true, ownerHold: false, ...state }]);
    };
    expect((await desk.store.admit([former])).refused).toEqual([{ agentId, why: "cloned" }]);
    await isAs("suspect");
    expect((await desk.store.admit([former])).refused).toEqual([{ agentId, why: "cloned" }]);
    expect(await load(agentId)).toMatchObject({ epoch: 1, incarnation: later.incarnation, status: "suspect" });
    await isAs("offline");
    expect((await desk.store.admit([former])).agents[0]).toMatchObject({ epoch: 2, incarnation: former.incarnation });
    // It counts from there.
    expect((await desk.store.admit([{ ...former, session: 201 }])).agents[0]).toMatchObject({ epoch: 3 });
  });

  it("of two starts at once exactly one is let in", async () => {
    const [one, two] = [randomUUID(), randomUUID()];
    await desk.store.renewReplica(one, 60_000);
    await desk.store.renewReplica(two, 60_000);
    const agentIds = Array.from({ length: 10 }, () => randomUUID());
    const refused = await Promise.all(
      agentIds.map(async (agentId) => {
        const both = await Promise.all([
          desk.store.admit([admissionOf(agentId, { replicaId: one })]),
          desk.second.admit([admissionOf(agentId, { replicaId: two })]),
        ]);
        return both.flatMap(({ refused }) => refused.map((refusal) => refusal.agentId));
      }),
    );
    expect(refused).toEqual(agentIds.map((agentId) => [agentId]));
    await desk.store.retireReplica(one);
    await desk.store.retireReplica(two);
  });
}
