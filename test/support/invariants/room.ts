/** Arithmetic of room, written again: a checker that took it from the code it checks would agree with every mistake in it. */
import type { Amounts, CardAmount, Needs } from "@headroom/scheduling";
import type { MachineFact } from "./facts.ts";

export function plus(a: Amounts, b: Amounts): Amounts {
  return {
    cpuMillicores: a.cpuMillicores + b.cpuMillicores,
    memoryMib: a.memoryMib + b.memoryMib,
    cards: [...a.cards, ...b.cards],
  };
}

/** What of a machine is promised more than once, in words; null: nothing. */
export function overfull(machine: MachineFact, promised: Amounts): string | null {
  if (promised.cpuMillicores > machine.cpuMillicores) {
    return `${promised.cpuMillicores} of ${machine.cpuMillicores} millicores`;
  }
  if (promised.memoryMib > machine.memoryMib) return `${promised.memoryMib} of ${machine.memoryMib} MiB`;
  for (const { cardId, vramMib } of machine.cards) {
    const own = promised.cards.filter((card) => card.cardId === cardId);
    const sum = own.reduce((total, card) => total + card.vramMib, 0);
    if (sum > vramMib) return `${sum} of ${vramMib} MiB of card ${cardId}`;
    if (own.length > 1 && own.some((card) => card.exclusive))
      return `${own.length} attempts on card ${cardId}, one alone`;
  }
  const unknown = promised.cards.find((card) => !machine.cards.some(({ cardId }) => cardId === card.cardId));
  return unknown === undefined ? null : `a card that it does not have: ${unknown.cardId}`;
}

/** Whether a machine of which so much is promised has room for the needs. Labels, pools and models are not looked at. */
/** Whether a task may run there, by name and labels. */
export function mayRunOn({ agentId, labels }: MachineFact, needs: Needs): boolean {
  if (needs.agentId !== null && needs.agentId !== agentId) return false;
  return Object.entries(needs.labels).every(([key, value]) => labels[key] === value);
}

export function hasRoom(machine: MachineFact, promised: Amounts, needs: Needs): boolean {
  if (promised.cpuMillicores + needs.cpuMillicores > machine.cpuMillicores) return false;
  if (promised.memoryMib + needs.memoryMib > machine.memoryMib) return false;
  const fitting = machine.cards.filter((card) => cardHasRoom(card, promised.cards, needs));
  return fitting.length >= needs.gpuCount;
}

function cardHasRoom(
  card: MachineFact["cards"][number],
  promised: readonly CardAmount[],
  { gpuVramMib, gpuExclusive }: Needs,
): boolean {
  const own = promised.filter(({ cardId }) => cardId === card.cardId);
  if (own.some(({ exclusive }) => exclusive) || (gpuExclusive && own.length > 0)) return false;
  const taken = own.reduce((total, { vramMib }) => total + vramMib, 0);
  return taken + Math.max(1, gpuVramMib) <= card.vramMib;
}
