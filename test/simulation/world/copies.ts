/**
 * Machines that were copied from others with their data folders: each says that it is the first one, has its journal, and knows nothing of what has happened since.
 * While the original is heard it must be kept out; when the original is not, nobody can tell the two apart, and the copy goes at once.
 */
import type { LogFields, Logger, ManagedService } from "@headroom/runtime";
import type { Violation } from "../../support/invariants/facts.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { Machine } from "./machine.ts";
import { SimNode } from "./node.ts";
import { traceLogger } from "./trace-logger.ts";
import type { World } from "./world.ts";

export const lookEveryMs = 200;
/** So long the original must have been well before it is copied: by then whatever was before has passed, and a copy that is let in is a fault. */
const wellForMs = 20_000;
/** After its connections were broken, or it said goodbye, it is back by then. */
const reconnectedWithinMs = 20_000;
const welcomed = "the registry welcomed this agent";

/** The agent program on a copy. */
type CreateAgent = (machine: Machine, process: SimProcess, logger: Logger) => ManagedService;

export class Copies {
  readonly violations: Violation[] = [];
  /** Some copy was let in while its original was not heard: from then on it was the agent, with what that means for the work of the other. */
  tookOver = false;
  readonly #create: CreateAgent;
  readonly #alive = new Map<SimNode, Machine>();
  #made = 0;

  constructor(create: CreateAgent) {
    this.#create = create;
  }

  /** Of the machine of this place, for so long at most, once that has been well for a while. False: it is not well now. */
  begin(world: World, index: number, forMs: number): boolean {
    if (!isWell(world, index)) return false;
    const { engine } = world;
    const switchOnAtMs = engine.nowMs + wellForMs;
    const look = (): void => {
      if (world.isMended || !isWell(world, index)) return;
      if (engine.nowMs >= switchOnAtMs) this.#switchOn(world, index, forMs);
      else engine.schedule(lookEveryMs, null, `${world.machines[index]!.name} is to be copied`, look);
    };
    look();
    return true;
  }

  #switchOn(world: World, index: number, forMs: number): void {
    const { engine, network } = world;
    const original = world.machines[index]!;
    this.#made += 1;
    const machine = original.copy(`${original.name}-copy-${this.#made}`);
    const heard = (): void => {
      if (!isWell(world, index)) this.tookOver = true;
      else {
        const what = `${machine.name} was let in at ${Math.round(engine.nowMs)}, and ${original.name} had been well for ${wellForMs / 1_000} s before it was switched on`;
        this.violations.push({ invariant: "V26", what });
      }
    };
    const node = new SimNode({
      name: machine.name,
      clockOffsetMs: 0,
      engine,
      network,
      create: (process) => this.#create(machine, process, noticing(traceLogger(engine, process), heard)),
    });
    const look = (): void => {
      if (!this.#alive.has(node)) return;
      if (!isWell(world, index)) this.#end(node);
      else engine.schedule(lookEveryMs, null, `${machine.name} is looked at`, look);
    };
    this.#alive.set(node, machine);
    node.start();
    look();
    engine.schedule(forMs, null, `${machine.name} is switched off`, () => this.#end(node));
  }

  endAll(): void {
    for (const node of this.#alive.keys()) this.#end(node);
  }

  #end(node: SimNode): void {
    const machine = this.#alive.get(node);
    if (machine === undefined) return;
    this.#alive.delete(node);
    node.die(true);
    machine.losePower();
  }
}

/** Its beats get through, to processes that heed them. */
export function isWell({ agents, machines, registries, network, postgres, farewells }: World, index: number): boolean {
  const node = agents[index]!;
  if (node.process === null || node.process.isPaused || machines[index]!.isAsleep) return false;
  const { links } = network;
  if (postgres.weather.isDown || links.weather.breaks > 0 || links.weather.slow > 0) return false;
  if (links.engine.nowMs - links.brokenAtMs < reconnectedWithinMs) return false;
  const { agentId } = machines[index]!;
  if (farewells.some((bye) => bye.agentId === agentId && postgres.nowMs - bye.atMs < reconnectedWithinMs)) return false;
  return registries.every(
    ({ name, process }) =>
      process !== null && !process.isPaused && !links.isCut(node.name, name) && !links.isCut(name, node.name),
  );
}

function noticing(logger: Logger, onWelcome: () => void): Logger {
  return {
    ...logger,
    child: (fields) => noticing(logger.child(fields), onWelcome),
    info(first: LogFields | string, message?: string) {
      if (typeof first === "string") return logger.info(first);
      logger.info(first, message ?? "");
      if (message === welcomed) onWelcome();
    },
  };
}
