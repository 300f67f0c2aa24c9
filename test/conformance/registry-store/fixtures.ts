/** What the conformance tests of a RegistryStore are written with. */
import type { Admission, RegistryStore, ReservationCommit, StoredReservation } from "@headroom/registry";
import type { Sample } from "@headroom/scheduling";
import { randomUUID } from "node:crypto";

export interface StoreUnderTest {
  readonly store: RegistryStore;
  /** Another access to the same data, as another registry process has it. */
  readonly second: RegistryStore;
  close(): Promise<void>;
}

export function sampleOf(overrides: Partial<Sample> = {}): Sample {
  return {
    sampledAtMs: 1_704_067_200_123,
    cpu: { total: 16_000, available: 12_000, offer: 16_000, declared: false },
    cpuLoadPercent: 25.5,
    memory: { total: 65_536, available: 32_768, offer: 49_152, declared: true },
    cards: [
      {
        cardId: "gpu-0",
        index: 0,
        model: "RTX 4090",
        vramTotalMib: 24_576,
        vramAvailableMib: 4_096,
        vramOfferMib: 24_576,
        declared: false,
        sharedMemory: false,
      },
    ],
    attempts: [
      {
        attemptId: randomUUID(),
        fence: 3,
        used: { cpuMillicores: 500, memoryMib: 100, cards: [{ cardId: "gpu-0", vramMib: 7, exclusive: false }] },
      },
    ],
    ...overrides,
  };
}

export function admissionOf(agentId: string, overrides: Partial<Admission> = {}): Admission {
  return {
    identity: {
      agentId,
      hostname: "desk-1",
      agentType: "desktop",
      poolName: "default",
      labels: { site: "north" },
      version: "0.1.0",
      platform: "linux x64",
    },
    incarnation: randomUUID(),
    session: 0,
    replicaId: randomUUID(),
    attached: true,
    ownerHold: false,
    credentialId: null,
    ...overrides,
  };
}

export function reservationOf(agentId: string, overrides: Partial<StoredReservation> = {}): StoredReservation {
  return {
    attemptId: randomUUID(),
    agentId,
    state: "unconfirmed",
    fence: 1,
    shape: "shape",
    reserved: { cpuMillicores: 1_000, memoryMib: 64, cards: [{ cardId: "gpu-0", vramMib: 512, exclusive: false }] },
    expectedEndAtMs: null,
    leaseExpiresAtMs: 1,
    releasedAtMs: null,
    needs: null,
    taskId: "task-1",
    planId: "plan-1",
    reservedAtMs: 1,
    ...overrides,
  };
}

export function insertOf(
  reservation: StoredReservation,
  version: number,
  leaseMs: number | null = 30_000,
): ReservationCommit {
  return {
    guards: [{ agentId: reservation.agentId, version }],
    writes: [{ reservation, leaseMs, previousAgentId: null, endsNow: false, beginsNow: true }],
  };
}

/** A store, another process's access to the same data, and the usual steps. */
export type RegistryDesk = ReturnType<typeof createRegistryDesk>;

/** `underTest`: known once the suite runs. */
export function createRegistryDesk(underTest: () => StoreUnderTest) {
  const admit = async (agentId: string = randomUUID(), overrides: Partial<Admission> = {}) => {
    const { agents } = await underTest().store.admit([admissionOf(agentId, overrides)]);
    return agents[0]!;
  };
  const load = async (agentId: string) => (await underTest().store.loadAgents([agentId])).agents[0]!;
  return {
    get store(): RegistryStore {
      return underTest().store;
    },
    get second(): RegistryStore {
      return underTest().second;
    },
    admit,
    load,
  };
}
