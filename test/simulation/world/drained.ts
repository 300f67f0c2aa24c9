/** Drains that an operator was told of, and what their machines still run when the deadline has long passed. */
import type { Violation } from "../../support/invariants/facts.ts";
import { isWell, lookEveryMs } from "./copies.ts";
import type { World } from "./world.ts";

/** An Ack names what is to end, every few seconds; a command is asked first, and what became of it is told. */
const endedWithinMs = 20_000;

/** V31. `index`: of the machine. `isOver`: the drain has been ended. */
export function watchDrain(world: World, index: number, deadlineMs: number, isOver: () => boolean): void {
  const { engine } = world;
  const machine = world.machines[index]!;
  const before = new Set(machine.executions.filter(({ toMs }) => toMs === null));
  const atMs = engine.nowMs + deadlineMs + endedWithinMs;
  const look = (): void => {
    if (world.isMended || isOver()) return;
    // Whoever does not hear of it ends nothing; from the deadline on it must have been heard all the time.
    const isAsked = engine.nowMs >= atMs - endedWithinMs;
    if (isAsked && !isWell(world, index)) return;
    // The copy of the call begins its time anew.
    if (world.network.links.weather.doubles > 0) return;
    if (engine.nowMs < atMs) {
      engine.schedule(lookEveryMs, null, `${machine.name} is looked at: it is drained`, look);
      return;
    }
    for (const { attemptId } of [...before].filter(({ toMs }) => toMs === null)) {
      const what = `${attemptId} still ran on ${machine.name} at ${Math.round(engine.nowMs)}, ${endedWithinMs / 1_000} s after the deadline of its drain`;
      world.unended.push({ invariant: "V31", what } satisfies Violation);
    }
  };
  look();
}
