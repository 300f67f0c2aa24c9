/** What faults do to the programs of a world. */
import type { SeededRandom } from "@headroom/testing";
import type { SimProcess } from "../engine/sim-process.ts";
import { keepaliveMs } from "../network/links.ts";
import { oneOf } from "./fault.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

/** A registry that stood still gives its agents the time of a heartbeat again. */
const doubtedWithinMs = 20_000;

export function anyNode({ registries, orchestrators, agents, looksRarely }: World, random: SeededRandom): SimNode {
  return oneOf(random, [...registries, ...(looksRarely ? [] : orchestrators), ...agents]);
}

/** Nobody can end or stop a program there. */
export function isOnSleepingMachine({ agents, machines }: World, node: SimNode): boolean {
  return machines[agents.indexOf(node)]?.isAsleep === true;
}

export function comesBack(world: World, node: SimNode, afterMs: number): void {
  world.engine.schedule(afterMs, null, `${node.name} is switched on`, () => node.start());
}

/** Stands still no more. */
export function goOn(world: World, node: SimNode, process: SimProcess): void {
  if (world.registries.includes(node) && process.isPaused) {
    const fromMs = world.postgres.nowMs;
    world.stalls.push({ fromMs, toMs: fromMs + doubtedWithinMs });
    // What it doubts of agents whose process died meanwhile is no more written than after a start.
    world.boots.push({ atMs: fromMs });
  }
  node.resume(process);
}

/**
 * A program that stands still or is dead ends nothing, and neither does anybody else on its machine: over a long command an agent may be so for no longer than the
 * grace after a lease, which may have been at its end. docs/reliability.md says so.
 */
const longestAwayMs = 30_000;

/** For how long a program may be away from now on: if it stood still before it died, that counts too. */
export function awayAtMost(world: World, node: SimNode, wantedMs: number): number {
  if (!world.isLively || !world.agents.includes(node)) return wantedMs;
  return Math.max(0, Math.min(wantedMs, longestAwayMs - node.awayForMs));
}

/**
 * A process that holds a transaction open is stopped right after it: else it would hold the whole database up. One whose machine sleeps
 * stands still already, and goes on when that wakes.
 */
export function pause(world: World, node: SimNode, wantedMs: number): void {
  const { process } = node;
  if (process === null || isOnSleepingMachine(world, node)) return;
  const forMs = awayAtMost(world, node, wantedMs);
  if (world.postgres.isInTransaction(process)) {
    world.engine.schedule(1, null, `${node.name} is to stand still`, () => pause(world, node, forMs));
    return;
  }
  node.pause();
  if (world.registries.includes(node)) noteSilence(world, forMs);
  world.engine.schedule(forMs, null, `${node.name} goes on`, () => goOn(world, node, process));
}

/** Its registry hears, if it hears anything, that it goes. */
export function saysGoodbye(world: World, node: SimNode): void {
  const machine = world.machines[world.agents.indexOf(node)];
  if (machine !== undefined) world.farewells.push({ agentId: machine.agentId, atMs: world.postgres.nowMs });
}

/** Neither hears the other. */
export function cutOff(world: World, one: SimNode, others: readonly SimNode[], forMs: number): void {
  for (const other of others) {
    cut(world, one, other, forMs);
    cut(world, other, one, forMs);
  }
}

/** Nothing gets from one to the other. */
export function cut(world: World, from: SimNode, to: SimNode, forMs: number): void {
  const { network, registries, orchestrators } = world;
  network.links.cut(from.name, to.name, forMs);
  if (registries.includes(from) && orchestrators.includes(to)) noteSilence(world, Math.min(forMs, keepaliveMs));
}

function noteSilence({ silences, postgres }: World, forMs: number): void {
  silences.push({ fromMs: postgres.nowMs, toMs: postgres.nowMs + forMs });
}
