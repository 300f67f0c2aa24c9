import type { LostNvmlCard, NvmlCard } from "./nvml.ts";

/**
 * Reads `count` cards. One that fails is lost by itself as long as another answers, whatever it fails with: drivers tell of a card that has
 * fallen off the bus by several codes. When none answers it is the driver that fails, and this rejects with what the first one failed with.
 */
export async function readEach(
  count: number,
  read: (index: number) => Promise<NvmlCard>,
): Promise<readonly (NvmlCard | LostNvmlCard)[]> {
  const cards: (NvmlCard | LostNvmlCard)[] = [];
  for (let index = 0; index < count; index += 1)
    cards.push(await read(index).catch((lostBy: unknown) => ({ index, lostBy })));
  const [first] = cards;
  if (first !== undefined && "lostBy" in first && cards.every((card) => "lostBy" in card)) throw first.lostBy;
  return cards;
}
