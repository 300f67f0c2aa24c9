import { SimPostgres } from "../database/sim-postgres.ts";
import type { RealSessions } from "../database/real-sessions.ts";
import type { Boot, Farewell } from "../../support/invariants/check-farewells.ts";
import type { Violation } from "../../support/invariants/facts.ts";
import type { Logger, ManagedService } from "@headroom/runtime";
import { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { Copies } from "./copies.ts";
import { createDesktopAgent } from "./desktop.ts";
import { Followers } from "./followers.ts";
import { Machine, type MachineShape } from "./machine.ts";
import { SimNode } from "./node.ts";
import { Operator } from "./operator.ts";
import { Planner } from "./planner.ts";
import { type Told, toldBy } from "./find-unkept.ts";
import { type Configs, createSimOrchestrator, createSimRegistry, simToken } from "./services.ts";

/** Everything of one simulated Headroom. */
export interface World {
  readonly engine: Engine;
  readonly network: SimNetwork;
  readonly postgres: SimPostgres;
  readonly registries: readonly SimNode[];
  readonly orchestrators: readonly SimNode[];
  readonly agents: readonly SimNode[];
  /** Each under the agent of the same place. */
  readonly machines: readonly Machine[];
  readonly planner: Planner;
  /** Null: nobody operates it. */
  readonly operator: Operator | null;
  /** Null: nobody follows its plans. */
  readonly followers: Followers | null;
  /** Just after a registry stood still, by the database's clock. */
  readonly stalls: { readonly fromMs: number; readonly toMs: number }[];
  /** When orchestrators may not hear a registry, by the same clock. */
  readonly silences: { readonly fromMs: number; readonly toMs: number }[];
  /** Agents that said goodbye, by the database's clock. */
  readonly farewells: Farewell[];
  /** Starts of registries, by the same clock. */
  readonly boots: Boot[];
  /**
   * The orchestrators hardly ever look by themselves: whatever happens must be told to them. Database and orchestrators are spared then,
   * for what these lose only a look can find.
   */
  readonly looksRarely: boolean;
  /** Below this fraction on every agent work pauses; 0: never. */
  readonly threshold: number;
  /** Two machines, of which the larger one is away for long, and many small tasks: more than the threshold lets in. */
  readonly isCrowded: boolean;
  /** Many small tasks that want a bit of a card each: more than the threshold lets in. */
  readonly isCardCrowded: boolean;
  /** Large enough to be lost as a whole, which happens; null: not so. */
  readonly fleet: "quiet" | "disturbed" | null;
  /** Virtual time at which the last connection of a machine without power is given up by those who have heard nothing of it. */
  deadConnectionsUntilMs: number;
  /** What the answers said that callers have heard. */
  readonly told: readonly Told[];
  /** What ran on where a drain should have ended it. */
  readonly unended: Violation[];
  /** Of its machines, with all that is on their disks. */
  readonly copies: Copies;
  /** Operators and owners do more in it, and tasks want more. */
  readonly isLively: boolean;
  /** Still more of that. */
  readonly isRicher: boolean;
  /** Nothing bad happens any more. */
  isMended: boolean;
}

/** Worlds of lower seeds stay as they were when something was found in them: whatever is drawn besides makes another world of a seed. */
export const firstLivelySeed = 1_000_000;
/** From here on tasks depend on several others, and registries have less patience with agents that fall out again and again. */
export const firstRicherSeed = 20_000_000;

const shapes: readonly MachineShape[] = [
  { cpuCores: 4, memoryMib: 16_384, cards: [{ model: "RTX 4090", vramMib: 24_576 }] },
  { cpuCores: 3, memoryMib: 8_192, cards: [] },
  {
    cpuCores: 8,
    memoryMib: 16_384,
    cards: [
      { model: "RTX 3080", vramMib: 10_240 },
      { model: "RTX 3080", vramMib: 10_240 },
    ],
  },
];

/** Now and then a fleet that is large enough to be lost as a whole. */
const smallShape: MachineShape = { cpuCores: 1, memoryMib: 4_096, cards: [] };
const smallMachines = 10;
/** So many that what the mass-loss brake lets pass one by one is not over before the brake is. */
const quietMachines = 40;

const fleetSizes = { quiet: quietMachines, disturbed: smallMachines, none: 0 } as const;

/** How far the wall clocks of the machines are off, at most; most are right. */
const largestOffsetMs = 12 * 3_600_000;

/** A world that stands still; everything of it follows from the seed. */
export function createWorld(seed: number, real: RealSessions, configs: Configs): World {
  const engine = new Engine(seed);
  const network = new SimNetwork(engine);
  const postgres = new SimPostgres(engine, real);
  const told: Told[] = [];
  network.onHeard = (path, request, answer) => void told.push(...toldBy(path, request, answer, postgres.nowMs));
  const { random } = engine;
  const offset = (): number => (random.next() < 0.6 ? 0 : random.int(-largestOffsetMs, largestOffsetMs));
  const looksRarely = random.next() < 0.4;
  const threshold = random.next() < 0.25 ? 0.2 : 0;
  const kind = random.next();
  const fleet = kind < 0.05 ? "quiet" : kind < 0.12 ? "disturbed" : null;
  const isRicher = seed >= firstRicherSeed;
  const isStrict = isRicher && fleet === null && random.next() < 0.4;
  const isCrowded = threshold > 0 && fleet === null && random.next() < 0.4;
  const isCardCrowded = isRicher && threshold > 0 && fleet === null && !isCrowded && random.next() < 0.6;
  const options = { engine, network, postgres, configs };
  const registryConfig =
    fleet === "quiet" ? configs.hastyRegistry : isStrict ? configs.strictRegistry : configs.registry;
  const boots: Boot[] = [];
  const registries = Array.from(
    // Of a loss that several share each sees a part, which may be too small for its brake.
    { length: fleet === null ? random.int(1, 2) : 1 },
    (_, index) =>
      new SimNode({
        name: `registry-${index + 1}`,
        clockOffsetMs: offset(),
        engine,
        network,
        create(process) {
          boots.push({ atMs: postgres.nowMs });
          return createSimRegistry(options, process, registryConfig);
        },
      }),
  );
  const orchestrators = Array.from(
    { length: random.int(1, 3) },
    (_, index) =>
      new SimNode({
        name: `orchestrator-${index + 1}`,
        clockOffsetMs: offset(),
        engine,
        network,
        create: (process) => createSimOrchestrator(options, process, { looksRarely, threshold }),
      }),
  );
  const machines = [
    ...shapes.slice(0, isCrowded ? 2 : random.int(1, shapes.length)),
    ...Array.from({ length: fleetSizes[fleet ?? "none"] }, () => smallShape),
  ].map((shape, index) => new Machine(engine, `desktop-${index + 1}`, random.uuid(), shape));
  const agentOn = (machine: Machine, process: SimProcess, logger?: Logger): ManagedService =>
    createDesktopAgent({
      engine,
      machine,
      config: isRicher ? { ...configs.agent, labels: { seat: machine.seat } } : configs.agent,
      network: network.for(process),
      process,
      token: simToken,
      ...(logger !== undefined && { logger }),
    });
  const agents = machines.map(
    (machine) =>
      new SimNode({
        name: machine.name,
        clockOffsetMs: offset(),
        engine,
        network,
        create: (process) => agentOn(machine, process),
      }),
  );
  const isLively = seed >= firstLivelySeed;
  for (const machine of machines) machine.squeezes = isLively;
  const seats = machines.filter(({ shape }) => shape !== smallShape).map(({ name }) => name);
  const hasTwoCards = machines.some(({ shape }) => shape.cards.length > 1);
  const planner = new Planner(
    engine,
    network,
    isLively ? { hasTwoCards, isRicher, seats } : null,
    () => postgres.nowMs,
  );
  const followers = isLively ? new Followers(engine, network) : null;
  planner.onAccepted = (planId) => followers?.follow(planId);
  return {
    engine,
    network,
    postgres,
    registries,
    orchestrators,
    agents,
    machines,
    planner,
    operator: isLively ? new Operator(engine, network, () => postgres.nowMs) : null,
    followers,
    isLively,
    told,
    unended: [],
    copies: new Copies(agentOn),
    stalls: [],
    silences: [],
    farewells: [],
    boots,
    looksRarely,
    threshold,
    isCrowded,
    isCardCrowded,
    isRicher,
    fleet,
    deadConnectionsUntilMs: 0,
    isMended: false,
  };
}
