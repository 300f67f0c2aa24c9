/** Whether CPU is what the fleet will run out of. */
import type { FleetFacts } from "./rules.ts";
import { vramOf } from "./shape.ts";
import type { ShapeWeight } from "./task-mix.ts";

/** Up to this CPU is no worry, */
const PLENTY = 0.85;
/** and from this on it runs out before the VRAM does. */
const SCARCE = 1;

/**
 * 0: there is plenty; 1: it is scarce. CPU that all tasks ask for, those without cards too, per VRAM that they ask for, over what the
 * fleet has of the one per what it has of the other.
 */
export function cpuScarcity(mix: readonly ShapeWeight[], { kinds }: FleetFacts): number {
  let cpuAsked = 0;
  let vramAsked = 0;
  for (const { shape, share } of mix) {
    cpuAsked += share * shape.cpuMillicores;
    vramAsked += share * vramOf(shape);
  }
  let cpu = 0;
  let vram = 0;
  for (const { idle, count } of kinds) {
    cpu += idle.cpuMillicores * count;
    vram += idle.vramMib * count;
  }
  if (vramAsked <= 0 || cpu <= 0 || vram <= 0) return 0;
  const asked = cpuAsked / vramAsked / (cpu / vram);
  return Math.min(1, Math.max(0, (asked - PLENTY) / (SCARCE - PLENTY)));
}
