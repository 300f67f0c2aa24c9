/** What an agent measured. Validation has looked at each field; what is checked here takes several fields together. */
import type { AttemptUse, Card, Dimension, Sample } from "@headroom/scheduling";
import { attemptUseFromWire, attemptUseToWire } from "./attempt-use.ts";
import { invalid, ok, readEach, type FromWire, type InvalidWire } from "./from-wire.ts";
import {
  Dimension as WireDimension,
  Sample as WireSample,
  type CardSample,
} from "./gen/headroom/registry/v1/agent_service.ts";
import { firstRepeated } from "./repeated.ts";
import { msFromTimestamp, timestampFromMs } from "./time.ts";
import { MAX_UNITS } from "./units.ts";

/** `path` is where the sample stands in the message, for the error: `hello.sample`. */
export function sampleFromWire(sample: WireSample, path = "sample"): FromWire<Sample> {
  const sampledAtMs = msFromTimestamp(sample.sampledAt);
  if (sampledAtMs === null) return invalid(`${path}.sampled_at`, "is missing; say when the sample was taken");
  const cpu = dimensionFromWire(sample.cpuMillicores, `${path}.cpu_millicores`);
  if (cpu.kind === "invalid") return cpu;
  const memory = dimensionFromWire(sample.memoryMib, `${path}.memory_mib`);
  if (memory.kind === "invalid") return memory;
  const cards = cardsFromWire(sample.cards, `${path}.cards`);
  if (cards.kind === "invalid") return cards;
  const attempts = readEach(sample.attempts, `${path}.attempts`, attemptUseFromWire);
  if (attempts.kind === "invalid") return attempts;
  const repeated = firstRepeated(attempts.value, (attempt) => attempt.attemptId);
  if (repeated !== null) {
    return invalid(`${path}.attempts[${repeated}].attempt_id`, "names an attempt that stands in the list already");
  }
  const excess = cardsExcess(sample.cards, `${path}.cards`) ?? attemptsExcess(attempts.value, `${path}.attempts`);
  if (excess !== null) return excess;
  return ok({
    sampledAtMs,
    cpu: cpu.value,
    cpuLoadPercent: percent(sample.cpuLoad),
    memory: memory.value,
    cards: cards.value,
    attempts: attempts.value,
  });
}

/** `utilizationByCardId`: percent 0..100, for people only; cards it does not name say 0. */
export function sampleToWire(sample: Sample, utilizationByCardId?: ReadonlyMap<string, number>): WireSample {
  return WireSample.fromPartial({
    sampledAt: timestampFromMs(sample.sampledAtMs),
    cpuMillicores: dimensionToWire(sample.cpu),
    cpuLoad: percent(sample.cpuLoadPercent),
    memoryMib: dimensionToWire(sample.memory),
    cards: sample.cards.map((card) => cardToWire(card, utilizationByCardId?.get(card.cardId) ?? 0)),
    attempts: sample.attempts.map(attemptUseToWire),
  });
}

function dimensionFromWire(dimension: WireDimension | undefined, path: string): FromWire<Dimension> {
  // What was not measured is nothing (R-CAP-3).
  if (dimension === undefined) return ok({ total: 0, available: 0, offer: 0, declared: false });
  const { total, available, declared } = dimension;
  const offer = dimension.offer ?? total;
  for (const [name, amount] of Object.entries({ total, available, offer })) {
    if (!isUnits(amount)) return invalid(`${path}.${name}`, `${amount} must be an integer from 0 to ${MAX_UNITS}`);
  }
  // Drivers round total and available apart; more than all is all.
  return ok({ total, available: Math.min(available, total), offer, declared });
}

function dimensionToWire({ total, available, offer, declared }: Dimension): WireDimension {
  return WireDimension.fromPartial({ total, available, declared, ...(offer < total ? { offer } : {}) });
}

function cardsFromWire(cards: readonly CardSample[], path: string): FromWire<readonly Card[]> {
  const read = readEach(cards, path, cardFromWire);
  if (read.kind === "invalid") return read;
  const repeated = firstRepeated(read.value, (card) => card.cardId);
  if (repeated !== null) return invalid(`${path}[${repeated}].card_id`, "names a card that stands in the list already");
  return ok(read.value.toSorted((a, b) => a.index - b.index));
}

function cardFromWire(card: CardSample, path: string): FromWire<Card> {
  const vram = dimensionFromWire(card.vramMib, `${path}.vram_mib`);
  if (vram.kind === "invalid") return vram;
  return ok({
    cardId: card.cardId,
    index: card.index,
    model: card.model,
    vramTotalMib: vram.value.total,
    vramAvailableMib: vram.value.available,
    vramOfferMib: vram.value.offer,
    declared: vram.value.declared,
    sharedMemory: card.sharedMemory,
  });
}

function cardToWire(card: Card, utilization: number): CardSample {
  return {
    cardId: card.cardId,
    index: card.index,
    model: card.model,
    vramMib: dimensionToWire({
      total: card.vramTotalMib,
      available: card.vramAvailableMib,
      offer: card.vramOfferMib,
      declared: card.declared,
    }),
    sharedMemory: card.sharedMemory,
    utilization: percent(utilization),
  };
}

/**
 * Readers are told sums over the cards and over the attempts, and those have the limit of a single figure as well. What is available is
 * never more than the total, and an offer above it is all.
 */
function cardsExcess(cards: readonly CardSample[], path: string): InvalidWire | null {
  const at = firstBeyond(cards, ({ vramMib }) => vramMib?.total ?? 0);
  return at === null ? null : beyond(`${path}[${at}].vram_mib.total`, "the cards", "each card's VRAM in MiB");
}

function attemptsExcess(attempts: readonly AttemptUse[], path: string): InvalidWire | null {
  const cpuAt = firstBeyond(attempts, ({ used }) => used.cpuMillicores);
  if (cpuAt !== null) return beyond(`${path}[${cpuAt}].cpu_millicores`, "the attempts", "each one's CPU in millicores");
  const memoryAt = firstBeyond(attempts, ({ used }) => used.memoryMib);
  if (memoryAt !== null) return beyond(`${path}[${memoryAt}].memory_mib`, "the attempts", "each one's memory in MiB");
  const vramAt = firstBeyond(attempts, ({ used }) => used.cards.reduce((sum, { vramMib }) => sum + vramMib, 0));
  return vramAt === null ? null : beyond(`${path}[${vramAt}].cards`, "the attempts", "each one's VRAM in MiB");
}

/** Index of the item with which the sum passes MAX_UNITS; null: it never does. */
function firstBeyond<T>(items: readonly T[], unitsOf: (item: T) => number): number | null {
  let sum = 0;
  for (const [index, item] of items.entries()) {
    sum += unitsOf(item);
    if (sum > MAX_UNITS) return index;
  }
  return null;
}

function beyond(field: string, whose: string, wayOut: string): InvalidWire {
  return invalid(field, `makes the sum over all ${whose} more than ${MAX_UNITS}; give ${wayOut}`);
}

function isUnits(amount: number): boolean {
  return Number.isInteger(amount) && amount >= 0 && amount <= MAX_UNITS;
}

function percent(value: number): number {
  return Number.isFinite(value) ? Math.min(100, Math.max(0, value)) : 0;
}
