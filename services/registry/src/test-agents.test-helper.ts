/** Agents for unit tests. */
import { NO_FLAPS, type Sample } from "@headroom/scheduling";
import { ReservationBook } from "./store/reservation-book.ts";
import type { StoredAgent, StoredReservation } from "./store/stored-agent.ts";

export function sampleWith(cores: number, vramMib = 24_576): Sample {
  return {
    sampledAtMs: 1_000,
    cpu: { total: 16_000, available: cores * 1_000, offer: 16_000, declared: false },
    cpuLoadPercent: 10,
    memory: { total: 65_536, available: 65_536, offer: 65_536, declared: false },
    cards: [
      {
        cardId: "gpu-0",
        index: 0,
        model: "RTX 4090",
        vramTotalMib: 24_576,
        vramAvailableMib: vramMib,
        vramOfferMib: 24_576,
        declared: false,
        sharedMemory: false,
      },
    ],
    attempts: [],
  };
}

export function agentWith(overrides: Partial<StoredAgent> = {}): StoredAgent {
  return {
    agentId: "00000000-0000-4000-8000-000000000001",
    hostname: "desk-1",
    agentType: "desktop",
    poolName: "default",
    labels: {},
    version: "0.1.0",
    platform: "linux x64",
    administeredAtUs: 0,
    cordoned: false,
    cordonReason: "",
    draining: false,
    drainDeadlineMs: null,
    firstSeenAtMs: 1,
    status: "online",
    statusReason: "hello",
    statusSinceMs: 1,
    flapping: NO_FLAPS,
    epoch: 1,
    incarnation: null,
    replicaId: null,
    lastBeatAtMs: null,
    attached: true,
    ownerHold: false,
    sample: sampleWith(16),
    guardVersion: 0,
    reservations: ReservationBook.EMPTY,
    ...overrides,
  };
}

export function reservationWith(overrides: Partial<StoredReservation> = {}): StoredReservation {
  return {
    attemptId: "00000000-0000-4000-8000-00000000000a",
    agentId: "00000000-0000-4000-8000-000000000001",
    state: "confirmed",
    fence: 1,
    shape: "shape",
    reserved: { cpuMillicores: 4_000, memoryMib: 0, cards: [{ cardId: "gpu-0", vramMib: 1_024, exclusive: false }] },
    expectedEndAtMs: null,
    leaseExpiresAtMs: null,
    releasedAtMs: null,
    needs: null,
    taskId: "",
    planId: "",
    reservedAtMs: 1,
    ...overrides,
  };
}

export function reservationsOf(...reservations: readonly StoredReservation[]): ReservationBook {
  return ReservationBook.of(reservations);
}
