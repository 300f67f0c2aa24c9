import type { SeededRandom } from "@headroom/testing";
import type { World } from "./world.ts";

/** Makes something bad happen; answers what, for the trace. */
export type Fault = (world: World, random: SeededRandom) => string;

/** By its kind. `hard`: what it loses only a look can find. */
export type NamedFault = readonly [kind: string, fault: Fault, isHard?: "hard"];

export function oneOf<T>(random: SeededRandom, values: readonly T[]): T {
  return values[random.int(0, values.length - 1)]!;
}

export function between(random: SeededRandom, least: number, most: number): number {
  return least + random.next() * (most - least);
}
