import type { Amounts } from "@headroom/scheduling";
import { ResourceAmounts } from "./gen/headroom/common/v1/resources.ts";
import { coresFromMillicores, gbFromMib, mibFromGb, millicoresFromCores } from "./units.ts";

export function amountsToWire(amounts: Amounts): ResourceAmounts {
  return ResourceAmounts.fromPartial({
    cpuCores: coresFromMillicores(amounts.cpuMillicores),
    memoryGb: gbFromMib(amounts.memoryMib),
    cards: amounts.cards.map(({ cardId, vramMib, exclusive }) => ({ cardId, vramGb: gbFromMib(vramMib), exclusive })),
  });
}

/** The amounts that amountsToWire wrote; absent: none. Never throws: a figure that no machine has is the nearest that one could have. */
export function amountsFromWire(amounts: ResourceAmounts | undefined): Amounts {
  return {
    cpuMillicores: millicoresFromCores(amounts?.cpuCores ?? 0),
    memoryMib: mibFromGb(amounts?.memoryGb ?? 0),
    cards: (amounts?.cards ?? []).map(({ cardId, vramGb, exclusive }) => ({
      cardId,
      vramMib: mibFromGb(vramGb),
      exclusive,
    })),
  };
}
