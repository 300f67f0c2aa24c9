/** Whether a machine holds a task with several cards or none, and with how much of its VRAM. Memory is left out. */
import { canBeWhole, freeMibOf, type MachineState } from "./machine-state.ts";
import type { PlacementShape } from "./shape.ts";

/** `isUniform`: all cards are of one class, so that they stand in the order of what is free. */
export function holds(
  state: MachineState,
  shape: PlacementShape,
  admitted: readonly boolean[],
  isUniform: boolean,
): boolean {
  const { cpuMillicores, gpuCount, perCardMib, exclusive } = shape;
  if (state.cpuMillicores < cpuMillicores) return false;
  if (gpuCount === 0) return true;
  if (!isUniform || exclusive) return usableByMany(state, shape, admitted, false) > 0;
  const { cards } = state;
  return admitted[0] === true && gpuCount <= cards.length && (cards[cards.length - gpuCount] ?? 0) >= perCardMib * 2;
}

/** VRAM of the cards that a task with several could have some of; 0 when they are too few. */
export function usableByMany(
  { cards }: MachineState,
  shape: PlacementShape,
  admitted: readonly boolean[],
  isUniform: boolean,
): number {
  const { gpuCount, perCardMib, exclusive } = shape;
  let count = 0;
  let usable = 0;
  for (let position = cards.length - 1; position >= 0; position -= 1) {
    const value = cards[position] ?? 0;
    if (value < perCardMib * 2) {
      if (isUniform) break;
      continue;
    }
    if (admitted[position] !== true || (exclusive && !canBeWhole(value))) continue;
    count += 1;
    usable += freeMibOf(value);
  }
  return count >= gpuCount ? usable : 0;
}
