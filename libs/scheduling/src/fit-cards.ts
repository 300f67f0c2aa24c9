/**
 * Which cards of an agent a task could have.
 *
 * A card fits when its model contains one of those asked for and its free VRAM, which is 0 while an attempt has the card
 * whole, covers what is asked (at least 1 MiB: a card with nothing free is no room, even for a task that names no
 * amount). To be given *whole*, a card must moreover be free of Headroom's other attempts and be offered whole by its
 * owner. What the owner's own programs use on it (a desktop always draws something) only counts against the VRAM.
 */
import type { CardRoom, Room } from "./capacity.ts";
import { miss, type Miss } from "./miss.ts";
import type { Needs } from "./needs.ts";
import type { Mib } from "./resources.ts";

export interface CardsFit {
  /** Tightest first; own memory before shared memory. */
  readonly eligibleCards: readonly CardRoom[];
  readonly cardIds: readonly string[];
  /** What the chosen cards take from the machine's memory. */
  readonly sharedVramMib: Mib;
  /** The least that any choice would take from it, were the machine empty. */
  readonly leastSharedVramMib: Mib;
  readonly misses: readonly Miss[];
}

const NO_CARDS: CardsFit = { eligibleCards: [], cardIds: [], sharedVramMib: 0, leastSharedVramMib: 0, misses: [] };

export function fitCards(room: Room, needs: Needs): CardsFit {
  if (needs.gpuCount <= 0) return NO_CARDS;
  const ofModel = room.cards.filter((card) => modelMatches(card.model, needs.gpuModels));
  const verdicts = ofModel.map((card) => ({ card, problem: cardProblem(card, needs) }));
  const eligibleCards = verdicts
    .filter(({ problem }) => problem === null)
    .map(({ card }) => card)
    .sort(tightestFirst);
  const chosen = eligibleCards.slice(0, needs.gpuCount);
  const possibleOwn = verdicts.filter(({ card, problem }) => !card.sharedMemory && problem?.permanent !== true);
  const sharedCards = ofModel.filter((card) => card.sharedMemory);
  const found = {
    eligibleCards,
    cardIds: chosen.map((card) => card.cardId),
    sharedVramMib: chosen.filter((card) => card.sharedMemory).length * needs.gpuVramMib,
    // Cards that are not there take nothing.
    leastSharedVramMib:
      Math.min(sharedCards.length, Math.max(0, needs.gpuCount - possibleOwn.length)) * needs.gpuVramMib,
  };
  if (chosen.length === needs.gpuCount) return { ...found, misses: [] };
  const problems = verdicts.flatMap(({ problem }) => (problem === null ? [] : [problem])).sort(nearestFirst);
  return { ...found, misses: shortage(room, needs, ofModel.length, chosen.length, problems) };
}

/** Own memory first: a card that shares the machine's memory takes from two dimensions at once. */
function tightestFirst(a: CardRoom, b: CardRoom): number {
  return Number(a.sharedMemory) - Number(b.sharedMemory) || a.free - b.free || a.index - b.index;
}

/** What keeps a card of the right model from being given, or null. */
function cardProblem(card: CardRoom, needs: Needs): Miss | null {
  const needed = Math.max(1, needs.gpuVramMib);
  const { cardId, index: cardIndex, free, ceiling: total } = card;
  const where = { cardId, cardIndex, needed, free, total };
  const notOffered = needs.gpuExclusive && card.offer < card.total;
  const permanent = needed > total || notOffered;
  if (notOffered) return miss("card_not_exclusive", { ...where, permanent, detail: "its owner offers only a part" });
  if (needs.gpuExclusive && card.occupied) {
    return miss("card_not_exclusive", { ...where, permanent, detail: "in use" });
  }
  if (needed <= free) return null;
  return miss("not_enough_vram", { ...where, permanent, shortBy: needed - (permanent ? total : free) });
}

/** Mendable ones before permanent ones, then by what is missing. */
function nearestFirst(a: Miss, b: Miss): number {
  return (
    Number(a.permanent) - Number(b.permanent) ||
    (a.shortBy ?? 0) - (b.shortBy ?? 0) ||
    (a.cardIndex ?? 0) - (b.cardIndex ?? 0)
  );
}

function shortage(
  room: Room,
  needs: Needs,
  cardsOfModel: number,
  cardsFitting: number,
  problems: readonly Miss[],
): readonly Miss[] {
  const misses: Miss[] = [];
  if (cardsOfModel < needs.gpuCount) {
    if (room.cards.length >= needs.gpuCount) {
      misses.push(miss("gpu_model_mismatch", { detail: needs.gpuModels.join(" or ") }));
    } else {
      const { length: total } = room.cards;
      misses.push(
        miss("not_enough_gpus", {
          needed: needs.gpuCount,
          free: cardsFitting,
          total,
          shortBy: needs.gpuCount - cardsFitting,
          permanent: true,
        }),
      );
    }
  }
  // The nearest cards that would make up the number: each of them has to come free.
  misses.push(...problems.slice(0, needs.gpuCount - cardsFitting));
  return misses;
}

function modelMatches(model: string, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const lower = model.toLowerCase();
  return wanted.some((name) => lower.includes(name.toLowerCase()));
}
