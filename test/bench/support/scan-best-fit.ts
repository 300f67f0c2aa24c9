/** The plain way to place: look at every machine, keep the one that best-fit likes most. What placement is measured against. */
import type { MachineState, PlacementShape } from "@headroom/scheduling";

export function scanBestFit(states: readonly MachineState[], shape: PlacementShape): number {
  let best = -1;
  let least = Infinity;
  for (let index = 0; index < states.length; index += 1) {
    const state = states[index];
    if (state === undefined || !fits(state, shape)) continue;
    const { kind, cpuMillicores, vramMib } = state;
    const left = (cpuMillicores - shape.cpuMillicores) / kind.cpuTotalMillicores + vramMib / 200_000;
    if (left < least) {
      least = left;
      best = index;
    }
  }
  return best;
}

function fits({ cpuMillicores, memoryMib, cards, kind }: MachineState, shape: PlacementShape): boolean {
  if (cpuMillicores < shape.cpuMillicores || memoryMib < shape.memoryMib) return false;
  if (shape.gpuCount === 0) return true;
  let fitting = 0;
  for (let position = 0; position < cards.length; position += 1) {
    const model = kind.cardClasses[position]?.model ?? "";
    const admitted = shape.gpuModels.length === 0 || shape.gpuModels.some((wanted) => model.includes(wanted));
    if (admitted && (cards[position] ?? 0) >> 1 >= shape.perCardMib) fitting += 1;
  }
  return fitting >= shape.gpuCount;
}
