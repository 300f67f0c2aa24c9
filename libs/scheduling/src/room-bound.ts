/** How many tasks of one kind an agent may have room for, from the figures that a capacity answer shows. Never too few. */
import type { Needs } from "./needs.ts";
import type { Amounts, CardAmount, Mib, Millicores } from "./resources.ts";

/** What a capacity answer tells of one agent, as far as it matters here. */
export interface RoomFigures {
  readonly agentId: string;
  readonly poolName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Online, attached, and neither cordoned, draining nor held by its owner. */
  readonly takesWork: boolean;
  readonly cpuFreeMillicores: Millicores;
  readonly memoryFreeMib: Mib;
  readonly cards: readonly CardFigures[];
}

export interface CardFigures {
  readonly cardId: string;
  readonly model: string;
  readonly vramFreeMib: Mib;
  /** One attempt has it for itself. */
  readonly exclusive: boolean;
}

/**
 * An upper bound, at most `limit`: `fit` may refuse what this lets through (fragmented cards, memory shared between card and
 * processor), never the other way round. So whoever takes as many waiting tasks as this says leaves no room unused.
 */
export function roomBound(agent: RoomFigures, needs: Needs, limit: number): number {
  if (!agent.takesWork || !isOfKind(agent, needs)) return 0;
  const byCpu = times(agent.cpuFreeMillicores, needs.cpuMillicores);
  const byMemory = times(agent.memoryFreeMib, needs.memoryMib);
  return Math.min(limit, byCpu, byMemory, byCards(agent, needs));
}

function isOfKind(agent: RoomFigures, needs: Needs): boolean {
  if (needs.agentId !== null && needs.agentId !== agent.agentId) return false;
  if (needs.pool !== null && needs.pool !== agent.poolName) return false;
  return Object.entries(needs.labels).every(([key, value]) => agent.labels[key] === value);
}

function byCards(agent: RoomFigures, needs: Needs): number {
  if (needs.gpuCount === 0) return Number.POSITIVE_INFINITY;
  let slots = 0;
  for (const { vramFreeMib } of usableCards(agent, needs))
    slots += needs.gpuExclusive ? 1 : times(vramFreeMib, needs.gpuVramMib);
  return Math.floor(slots / needs.gpuCount);
}

function usableCards({ cards }: RoomFigures, { gpuModels, gpuVramMib }: Needs): readonly CardFigures[] {
  const models = gpuModels.map((model) => model.toLowerCase());
  return cards.filter(({ model, vramFreeMib, exclusive }) => {
    if (exclusive || vramFreeMib < gpuVramMib) return false;
    return models.length === 0 || models.some((wanted) => model.toLowerCase().includes(wanted));
  });
}

/** What is left when something has been promised: figures that were told before it, and do not hold it yet. */
export function roomWithout(agent: RoomFigures, { cpuMillicores, memoryMib, cards }: Amounts): RoomFigures {
  const byCard = new Map(cards.map((card) => [card.cardId, card]));
  return {
    ...agent,
    cpuFreeMillicores: agent.cpuFreeMillicores - cpuMillicores,
    memoryFreeMib: agent.memoryFreeMib - memoryMib,
    cards: byCard.size === 0 ? agent.cards : agent.cards.map((card) => cardWithout(card, byCard.get(card.cardId))),
  };
}

function cardWithout(card: CardFigures, amount: CardAmount | undefined): CardFigures {
  if (amount === undefined) return card;
  return {
    ...card,
    vramFreeMib: card.vramFreeMib - amount.vramMib,
    exclusive: card.exclusive || amount.exclusive,
  };
}

/** What is left when one such task has got its room there, for which `roomBound` sees some: on the first cards that may be. */
export function roomAfterOne(agent: RoomFigures, needs: Needs): RoomFigures {
  const { cpuMillicores, memoryMib, gpuCount, gpuVramMib, gpuExclusive } = needs;
  const cards = gpuCount === 0 ? [] : usableCards(agent, needs).slice(0, gpuCount);
  return roomWithout(agent, {
    cpuMillicores,
    memoryMib,
    cards: cards.map(({ cardId }) => ({ cardId, vramMib: gpuVramMib, exclusive: gpuExclusive })),
  });
}

function times(free: number, needed: number): number {
  return needed <= 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(free / needed));
}
