/** Which agents have cards of which models. Agents with the same models are one set, so a question about models meets a few sets. */
import type { CardRoom } from "@headroom/scheduling";
import type { Bits, ScratchBits } from "./bits.ts";
import { SlotSets } from "./slot-set.ts";

/** Cards of an agent, roomiest first, that have a column of their own; questions about more are answered agent by agent. */
export const RANKED_CARDS = 8;

const SEPARATOR = "\u0000";

interface Modelled {
  readonly model: string;
}

/** The VRAM free on the agent's roomiest cards, largest first. */
export function largestCardsOf(cards: readonly CardRoom[]): readonly number[] {
  if (cards.length < 2) return cards.map((card) => card.free);
  return cards.map((card) => card.free).sort((a, b) => b - a);
}

export class CardSets {
  /** By the distinct models of an agent's cards, in lower case. */
  readonly #byModels = new SlotSets();

  change(slot: number, before: readonly Modelled[], after: readonly Modelled[]): void {
    const from = modelsKey(before);
    const to = modelsKey(after);
    if (from === to) return;
    if (from !== "") this.#byModels.delete(from, slot);
    if (to !== "") this.#byModels.add(to, slot);
  }

  /**
   * `either`: agents that have a card whose model contains one of the texts (lower case). Where all their cards do, what is free on their roomiest
   * cards is free on matching ones; `mixed` are the others, whose cards have to be looked at. Both are bitmaps of `scratch`.
   */
  having(
    texts: readonly string[],
    scratch: ScratchBits,
  ): { readonly either: Bits; readonly mixed: Bits; hasMixed: boolean } {
    const found = { either: scratch.empty(), mixed: scratch.empty(), hasMixed: false };
    for (const [key, set] of this.#byModels.entries()) {
      const models = key.split(SEPARATOR);
      const matching = models.filter((model) => texts.some((text) => model.includes(text)));
      if (matching.length === 0) continue;
      set.addTo(found.either);
      if (matching.length === models.length) continue;
      set.addTo(found.mixed);
      found.hasMixed = true;
    }
    return found;
  }
}

/** Cards without a model count as models too: the empty name contains no text that may be asked for. */
function modelsKey(cards: readonly Modelled[]): string {
  const [first] = cards;
  if (first === undefined) return "";
  if (cards.length === 1) return first.model.toLowerCase();
  return [...new Set(cards.map(({ model }) => model.toLowerCase()))].sort().join(SEPARATOR);
}
