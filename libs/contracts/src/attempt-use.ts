import type { AttemptUse } from "@headroom/scheduling";
import { invalid, ok, type FromWire } from "./from-wire.ts";
import { AttemptUse as WireAttemptUse } from "./gen/headroom/registry/v1/agent_service.ts";
import { firstRepeated } from "./repeated.ts";
import { MAX_UNITS } from "./units.ts";

/** `path` is where it stands in the message, for the error: `sample.attempts[3]`. */
export function attemptUseFromWire(use: WireAttemptUse, path = "attempt"): FromWire<AttemptUse> {
  const amounts = [
    ["cpu_millicores", use.cpuMillicores],
    ["memory_mib", use.memoryMib],
    ...use.cards.map((card, index) => [`cards[${index}].vram_mib`, card.vramMib] as const),
  ] as const;
  for (const [name, amount] of amounts) {
    if (!Number.isInteger(amount) || amount < 0 || amount > MAX_UNITS) {
      return invalid(`${path}.${name}`, `${amount} must be an integer from 0 to ${MAX_UNITS}`);
    }
  }
  if (!Number.isSafeInteger(use.fence)) return invalid(`${path}.fence`, `${use.fence} must be an integer below 2^53`);
  const repeated = firstRepeated(use.cards, (card) => card.cardId);
  if (repeated !== null)
    return invalid(`${path}.cards[${repeated}].card_id`, "names a card that stands in the list already");
  return ok({
    attemptId: use.attemptId.toLowerCase(),
    fence: use.fence,
    used: {
      cpuMillicores: use.cpuMillicores,
      memoryMib: use.memoryMib,
      cards: use.cards.map(({ cardId, vramMib, exclusive }) => ({ cardId, vramMib, exclusive })),
    },
  });
}

export function attemptUseToWire({ attemptId, fence, used }: AttemptUse): WireAttemptUse {
  return WireAttemptUse.fromPartial({
    attemptId,
    fence,
    cpuMillicores: used.cpuMillicores,
    memoryMib: used.memoryMib,
    cards: used.cards.map(({ cardId, vramMib, exclusive }) => ({ cardId, vramMib, exclusive })),
  });
}
