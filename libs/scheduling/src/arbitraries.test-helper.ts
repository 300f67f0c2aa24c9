/** Random machines, reservations, needs and fleets, in small numbers so that they collide often. */
import fc from "fast-check";
import type { AgentView } from "./agent-view.ts";
import type { HeldRoom } from "./capacity.ts";
import { desktop } from "./fixtures.test-helper.ts";
import { normalizeNeeds } from "./needs.ts";
import type { Amounts, Card, Sample } from "./resources.ts";

const CARD_IDS = ["card-0", "card-1", "card-2"] as const;
export const ATTEMPT_IDS = ["t0", "t1", "t2", "t3"] as const;
const amount = fc.integer({ min: 0, max: 20 });

const anyDimension = fc
  .record({ total: amount, available: amount, offer: amount, declared: fc.boolean() })
  .map((one) => ({ ...one, available: Math.min(one.available, one.total) }));

export const anyAmounts = (exclusive: fc.Arbitrary<boolean>): fc.Arbitrary<Amounts> =>
  fc.record({
    cpuMillicores: amount,
    memoryMib: amount,
    cards: fc.uniqueArray(fc.record({ cardId: fc.constantFrom(...CARD_IDS), vramMib: amount, exclusive }), {
      selector: (card) => card.cardId,
    }),
  });

const anyCard = (index: number): fc.Arbitrary<Card> =>
  fc
    .record({ room: anyDimension, sharedMemory: fc.boolean(), model: fc.constantFrom("RTX 3080", "RTX 4090") })
    .map(({ room, sharedMemory, model }) => ({
      cardId: CARD_IDS[index] ?? "",
      index,
      model,
      vramTotalMib: room.total,
      vramAvailableMib: room.available,
      vramOfferMib: room.offer,
      declared: room.declared,
      sharedMemory,
    }));

const anyUse = fc.record({
  attemptId: fc.constantFrom(...ATTEMPT_IDS),
  fence: fc.integer({ min: 1, max: 3 }),
  used: anyAmounts(fc.constant(false)),
});

export const anySample: fc.Arbitrary<Sample> = fc
  .record({
    cpu: anyDimension,
    memory: anyDimension,
    cards: fc
      .integer({ min: 0, max: 3 })
      .chain((count) => fc.tuple(...CARD_IDS.slice(0, count).map((_, i) => anyCard(i)))),
    attempts: fc.uniqueArray(anyUse, { selector: (attempt) => attempt.attemptId }),
  })
  .map((parts) => ({ sampledAtMs: 0, cpuLoadPercent: 0, ...parts }));

const anyHeld: fc.Arbitrary<HeldRoom> = fc.record({
  attemptId: fc.constantFrom(...ATTEMPT_IDS),
  reserved: anyAmounts(fc.boolean()),
  expectedEndAtMs: fc.option(fc.nat(), { nil: null }),
});
export const anyReservations = fc.uniqueArray(anyHeld, { selector: (held) => held.attemptId });

export const anyNeeds = fc
  .record({
    cpuMillicores: amount,
    memoryMib: amount,
    gpuCount: fc.integer({ min: 0, max: 3 }),
    gpuVramMib: amount,
    gpuExclusive: fc.boolean(),
    gpuModels: fc.constantFrom([], ["3080"], ["4090", "3080"]),
    pool: fc.constantFrom(null, "lab"),
  })
  .map(normalizeNeeds);

const anyView = (agentId: string): fc.Arbitrary<AgentView> =>
  fc
    .record({
      sample: fc.option(anySample, { nil: null, freq: 9 }),
      reservations: anyReservations,
      poolName: fc.constantFrom("lab", "render"),
      attached: fc.boolean(),
      cordoned: fc.boolean(),
      status: fc.constantFrom("online", "online", "online", "suspect"),
    })
    .map((facts) => desktop(agentId, facts));

export const anyFleet = fc
  .integer({ min: 0, max: 4 })
  .chain((size) => fc.tuple(...Array.from({ length: size }, (_, index) => anyView(`agent-${index}`))));
