/** The ways to put a task on a machine: they differ in the cards. */
import { canBeWhole, freeMibOf, type MachineState } from "./machine-state.ts";
import type { PlacementShape } from "./shape.ts";

/**
 * Calls `take` for each distinct way, tightest cards first, or the roomiest. Of one card, every distinct amount of free VRAM is a
 * way of its own; of several, the first that hold the task are taken, which for whole cards are all the same.
 */
export function forEachOption(
  state: MachineState,
  shape: PlacementShape,
  admitted: readonly boolean[],
  scratch: MachineState,
  roomiestFirst: boolean,
  take: (positions: readonly number[]) => void,
): void {
  const cpuLeft = state.cpuMillicores - shape.cpuMillicores;
  const memoryLeft = state.memoryMib - shape.memoryMib;
  if (cpuLeft < 0 || memoryLeft < 0) return;
  scratch.kind = state.kind;
  scratch.cpuMillicores = cpuLeft;
  scratch.memoryMib = memoryLeft;
  if (shape.gpuCount === 0) {
    resetCards(scratch, state);
    take(NO_POSITIONS);
    return;
  }
  if (shape.gpuCount === 1) forEachCard(state, shape, admitted, scratch, memoryLeft, roomiestFirst, take);
  else takeSeveral(state, shape, admitted, scratch, memoryLeft, roomiestFirst, take);
}

const NO_POSITIONS: readonly number[] = [];
const ONE_POSITION = [0];

function forEachCard(
  state: MachineState,
  shape: PlacementShape,
  admitted: readonly boolean[],
  scratch: MachineState,
  memoryLeft: number,
  roomiestFirst: boolean,
  take: (positions: readonly number[]) => void,
): void {
  const { cards, kind } = state;
  const needed = shape.perCardMib * 2;
  for (let step = 0; step < cards.length; step += 1) {
    const position = roomiestFirst ? cards.length - 1 - step : step;
    const value = cards[position] ?? 0;
    if (value < needed || admitted[position] !== true) continue;
    if (shape.exclusive && !canBeWhole(value)) continue;
    // Of equal cards the last is taken, so that the order of the others stays.
    if (position + 1 < cards.length && cards[position + 1] === value && sameClass(state, position)) continue;
    const shared = kind.cardClasses[position]?.sharedMemory === true;
    if (shared && memoryLeft < shape.perCardMib) continue;
    resetCards(scratch, state);
    scratch.memoryMib = shared ? memoryLeft - shape.perCardMib : memoryLeft;
    takeCard(scratch, position, shape);
    ONE_POSITION[0] = position;
    take(ONE_POSITION);
  }
}

function takeSeveral(
  state: MachineState,
  shape: PlacementShape,
  admitted: readonly boolean[],
  scratch: MachineState,
  memoryLeft: number,
  roomiestFirst: boolean,
  take: (positions: readonly number[]) => void,
): void {
  const { cards, kind } = state;
  const eligible: number[] = [];
  cards.forEach((value, position) => {
    if (value < shape.perCardMib * 2 || admitted[position] !== true) return;
    if (!shape.exclusive || canBeWhole(value)) eligible.push(position);
  });
  if (eligible.length < shape.gpuCount) return;
  const sign = roomiestFirst ? -1 : 1;
  const isShared = (position: number): number => Number(kind.cardClasses[position]?.sharedMemory === true);
  eligible.sort((a, b) => isShared(a) - isShared(b) || sign * ((cards[a] ?? 0) - (cards[b] ?? 0)) || a - b);
  const chosen = eligible.slice(0, shape.gpuCount);
  const sharedMib = chosen.reduce((sum, position) => sum + isShared(position) * shape.perCardMib, 0);
  if (memoryLeft < sharedMib) return;
  resetCards(scratch, state);
  scratch.memoryMib = memoryLeft - sharedMib;
  // From the right, so that a card that moves to the left does not move one that is still to be taken.
  for (const position of chosen.toSorted((a, b) => b - a)) lower(scratch, position, shape);
  settle(scratch);
  take(chosen);
}

function resetCards(scratch: MachineState, { cards, vramMib }: MachineState): void {
  scratch.vramMib = vramMib;
  scratch.cards.length = cards.length;
  for (let index = 0; index < cards.length; index += 1) scratch.cards[index] = cards[index] ?? 0;
}

function lower(state: MachineState, position: number, { perCardMib, exclusive }: PlacementShape): void {
  const free = freeMibOf(state.cards[position] ?? 0);
  const left = exclusive ? 0 : free - perCardMib;
  state.cards[position] = left * 2;
  state.vramMib -= free - left;
}

function takeCard(state: MachineState, position: number, shape: PlacementShape): void {
  lower(state, position, shape);
  const { cards } = state;
  const value = cards[position] ?? 0;
  let index = position;
  while (index > 0 && (cards[index - 1] ?? 0) > value && sameClass(state, index - 1)) {
    cards[index] = cards[index - 1] ?? 0;
    index -= 1;
  }
  cards[index] = value;
}

/** Puts the cards of each class in order again. */
function settle(state: MachineState): void {
  const { cards } = state;
  for (let position = 1; position < cards.length; position += 1) {
    const value = cards[position] ?? 0;
    let index = position;
    while (index > 0 && (cards[index - 1] ?? 0) > value && sameClass(state, index - 1)) {
      cards[index] = cards[index - 1] ?? 0;
      index -= 1;
    }
    cards[index] = value;
  }
}

/** Whether the cards at this position and the next are of one class. */
function sameClass({ kind }: MachineState, position: number): boolean {
  return kind.cardClasses[position] === kind.cardClasses[position + 1];
}
