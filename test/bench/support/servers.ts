/** The parts of a bench: a PostgreSQL, the registry, the bare server and clients, each a process of its own. */
import { createDatabase, type PooledDatabase, startEmbedded } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { progress } from "./bench.ts";
import { cpuSecondsOfTree } from "./cpu-time.ts";
import { type Program, startProgram } from "./programs.ts";
import type { ServerStats } from "./server-stats.ts";

export const TOKEN = randomBytes(24).toString("hex");

const undo: (() => Promise<unknown>)[] = [];

/** Something of the bench that has to be undone at its end, before what was started earlier. */
export function onEnd(step: () => Promise<unknown>): void {
  undo.push(step);
}

let stopping: Promise<void> | undefined;

/** Stops what the bench has started so far, in reverse order. Idempotent; what is started later has a stop of its own. */
export function stopAll(): Promise<void> {
  stopping ??= (async () => {
    for (const step of undo.splice(0).toReversed()) await step().catch((error: unknown) => progress(String(error)));
    stopping = undefined;
  })();
  return stopping;
}

export interface BenchDatabase {
  readonly url: string;
  readonly db: PooledDatabase;
  /** CPU seconds that this PostgreSQL has taken so far, all its processes; null where the system does not tell. */
  cpuSeconds(): Promise<number | null>;
}

/** The embedded PostgreSQL with its defaults; DATABASE_URL is not used, for a bench writes a lot. */
export async function startPostgres(): Promise<BenchDatabase> {
  const dir = await mkdtemp(join(tmpdir(), "headroom-bench-"));
  undo.push(() => rm(dir, { recursive: true, force: true }));
  const server = await startEmbedded({ dataDir: join(dir, "postgres"), logger: silentLogger });
  undo.push(() => server.stop());
  const db = createDatabase({
    connection: server.connectionString,
    schema: "registry",
    applicationName: "headroom-bench",
    ports: systemPorts,
    logger: silentLogger,
  });
  undo.push(() => db.close());
  return { url: server.connectionString, db, cpuSeconds: () => cpuSecondsOfTree(server.pid() ?? 0) };
}

export interface Server {
  readonly program: Program;
  readonly address: string;
  stats(): Promise<ServerStats>;
}

async function listening(program: Program): Promise<Server> {
  const address = await program.call<string>("listen");
  return { program, address, stats: () => program.call<ServerStats>("stats") };
}

export interface RegistryOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly execArgv?: readonly string[];
}

/** As production runs it: its own bundle, its log in a file, its defaults. */
export async function startRegistry(databaseUrl: string, options: RegistryOptions = {}): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), "headroom-bench-registry-"));
  undo.push(() => rm(dataDir, { recursive: true, force: true }));
  const program = await startProgram("registry-main", {
    env: {
      DATABASE_URL: databaseUrl,
      HEADROOM_DATA_DIR: dataDir,
      HEADROOM_TOKEN: TOKEN,
      HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
      HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
      ...options.env,
    },
    ...(options.execArgv && { execArgv: options.execArgv }),
  });
  undo.push(() => endGracefully(program));
  return listening(program);
}

export async function startBare(options: { readonly execArgv?: readonly string[] } = {}): Promise<Server> {
  const program = await startProgram("bare-main", options);
  undo.push(() => endGracefully(program));
  return listening(program);
}

export async function endGracefully(program: Program): Promise<void> {
  await program.call("exit", undefined, 10_000).catch(() => undefined);
  if (process.env["HEADROOM_BENCH_PROFILE"] !== undefined) await new Promise((resolve) => setTimeout(resolve, 2_000));
  await program.kill();
}

export interface ClientPlan {
  readonly processes: number;
  readonly agents: number;
  /** Default: one for each agent. */
  readonly connections?: number;
  readonly empty?: boolean;
  /** They beat as told from their welcome on: a fleet that takes longer to join than silence is borne must not be silent. */
  readonly changedShare?: number;
  readonly joinAtOnce?: number;
}

/** 10,000 connections are half a minute's work for a quiet machine, and many minutes for a busy one: how long is what the bench says. */
const FLEET_LIMIT_MS = 1_200_000;

/** The agents of a fleet, over several processes: two ends of 10,000 sockets do not fit one process's descriptors. */
export class ClientFleet {
  readonly #programs: readonly Program[];
  readonly #plan: ClientPlan;

  private constructor(programs: readonly Program[], plan: ClientPlan) {
    this.#programs = programs;
    this.#plan = plan;
  }

  static async start(plan: ClientPlan): Promise<ClientFleet> {
    const programs = await Promise.all(Array.from({ length: plan.processes }, () => startProgram("agents-main")));
    const fleet = new ClientFleet(programs, plan);
    undo.push(() => fleet.end());
    return fleet;
  }

  /** Resolves when all agents are welcomed at this server. */
  async join(address: string): Promise<void> {
    const { agents, connections = agents, processes, empty = false, changedShare = null, joinAtOnce } = this.#plan;
    const planOf = (each: number): object => ({
      address,
      token: TOKEN,
      agents: Math.ceil(agents / processes),
      firstIndex: each * Math.ceil(agents / processes),
      connections: Math.ceil(connections / processes),
      empty,
      changedShare,
      ...(joinAtOnce !== undefined && { joinAtOnce: Math.ceil(joinAtOnce / processes) }),
    });
    await this.#each("join", planOf, FLEET_LIMIT_MS);
  }

  beatHard(address: string): Promise<unknown> {
    return this.#each("beatHard", () => address);
  }

  beatAsTold(address: string, changedShare: number): Promise<unknown> {
    return this.#each("beatAsTold", () => ({ address, changedShare }));
  }

  pause(address: string): Promise<unknown> {
    return this.#each("pause", () => address);
  }

  reconnect(address: string): Promise<unknown> {
    return this.#each("reconnect", () => address);
  }

  rejoined(address: string): Promise<unknown> {
    return this.#each("rejoined", () => address, FLEET_LIMIT_MS);
  }

  async counts(address: string): Promise<FleetSums> {
    const all = await this.#each<FleetSums>("counts", () => address);
    const sum = (figure: keyof FleetSums): number => all.reduce((total, counts) => total + counts[figure], 0);
    return { acked: sum("acked"), joined: sum("joined"), retries: sum("retries"), closed: sum("closed") };
  }

  async end(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()));
  }

  #each<Result>(command: string, argumentOf: (each: number) => unknown, limitMs?: number): Promise<Result[]> {
    return Promise.all(this.#programs.map((program, each) => program.call<Result>(command, argumentOf(each), limitMs)));
  }
}

export interface FleetSums {
  readonly acked: number;
  readonly joined: number;
  readonly retries: number;
  readonly closed: number;
}
