import { join } from "node:path";
import { createHeadroomClient, type HeadroomClient, wire } from "@headroom/client";
import { createTestDatabase, makeTempDir, waitFor } from "@headroom/testing";
import type { RunSql } from "../../support/run-sql.ts";
import type { AgentDeclaration } from "./agent-declaration.ts";
import { builtCommand } from "./built-command.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { endLeftoverTasks } from "./leftover-tasks.ts";
import { agentMember, type AgentMember, serviceMember, type ServiceMember } from "./members.ts";
import { must } from "./results.ts";
import { lastWords, type ServiceProcess } from "./service-process.ts";
import { type Ways, straightWays } from "./ways.ts";

export interface ClusterOptions {
  /** Short, for folder and database names. */
  readonly label: string;
  /** Default: one agent of 4 cores and 8 GiB. Agents are spread over the replicas of both services. */
  readonly agents?: readonly AgentDeclaration[];
  /** Default 1. */
  readonly registries?: number;
  /** Default 1. */
  readonly orchestrators?: number;
  /** For every process; wins over the harness's own settings. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take until it is ready. Default 80,000. */
  readonly startMs?: number;
  /** A database on a server of the test's own. None: a fresh database on the suite's server. */
  readonly database?: { readonly connectionString: string; readonly sql: RunSql };
  /** How its processes reach each other. Default: straight. */
  readonly ways?: Ways;
  /** The data folder of a process, by its name ("agent-1"), which is there. Default: one in the cluster's own folder. */
  readonly homeOf?: (name: string) => string;
}

export interface ReadySettings {
  /** How many agents are to be online and attached. Default: all. */
  readonly agents?: number;
  readonly timeoutMs?: number;
}

/** A whole Headroom of real processes on real sockets and a real PostgreSQL. */
export interface Cluster {
  readonly dir: string;
  readonly tokenFile: string;
  /** Talks to the first registry and the first orchestrator. */
  readonly client: HeadroomClient;
  /** Talks to the replicas given, counted from 0. */
  clientOf(registry: number, orchestrator: number): HeadroomClient;
  readonly registries: readonly ServiceMember[];
  readonly orchestrators: readonly ServiceMember[];
  readonly agents: readonly AgentMember[];
  /** The first of each. */
  readonly registry: ServiceMember;
  readonly orchestrator: ServiceMember;
  readonly agent: AgentMember;
  readonly ledger: Ledger;
  readonly sql: RunSql;
  /** Both services answer, every orchestrator watches its registry, and the agents are online and attached. */
  ready(settings?: ReadySettings): Promise<void>;
  /** Another agent, started. */
  addAgent(declaration: AgentDeclaration): Promise<AgentMember>;
  /** The plan once it has ended; else an error with the logs. */
  planEnd(planId: string, timeoutMs?: number): Promise<wire.Plan>;
  /** The last lines of every process, for the message of a failing test. */
  logs(lines?: number): string;
  /** Ends every process and removes folder and database, whatever state they are in. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a cluster and waits until it is ready. A start that fails leaves nothing behind. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const command = await builtCommand();
  const dir = await makeTempDir(`e2e-${options.label}`);
  const ownDatabase = options.database === undefined ? await createTestDatabase({ label: options.label }) : undefined;
  const database = options.database ?? ownDatabase!;
  const settings = {
    command,
    tokenFile: join(dir.path, "token"),
    dir: dir.path,
    homeOf: options.homeOf ?? ((name: string) => join(dir.path, name)),
    env: options.env ?? {},
  };
  const ways = options.ways ?? straightWays;
  const ledger = createLedger(dir.path);

  const reach = {
    /** The replicas of a service, the one that is this caller's own first. */
    registry: (caller: string, own: number): Promise<string> =>
      ways.toService(caller, rotated(registries.map(endpoint), own)),
    orchestrator: (caller: string, own: number): Promise<string> =>
      ways.toService(caller, rotated(orchestrators.map(endpoint), own)),
    database: (caller: string): Promise<string> => ways.toDatabase(caller, database.connectionString),
  };
  const registries: ServiceMember[] = [];
  for (let index = 0; index < (options.registries ?? 1); index += 1) {
    const databaseUrl = await reach.database(`registry-${index + 1}`);
    registries.push(await serviceMember(settings, "registry", index, { databaseUrl }));
  }
  const orchestrators: ServiceMember[] = [];
  for (let index = 0; index < (options.orchestrators ?? 1); index += 1) {
    const name = `orchestrator-${index + 1}`;
    const databaseUrl = await reach.database(name);
    const registry = await reach.registry(name, index);
    orchestrators.push(await serviceMember(settings, "orchestrator", index, { databaseUrl, registry }));
  }
  const agents: AgentMember[] = [];
  async function addAgent(declaration: AgentDeclaration): Promise<AgentMember> {
    const index = agents.length;
    const name = `agent-${index + 1}`;
    const made = agentMember(settings, index, declaration, {
      registry: await reach.registry(name, index),
      orchestrator: await reach.orchestrator(name, index),
    });
    agents.push(made);
    return made;
  }
  for (const declaration of options.agents ?? [{ cpuCores: 4, memoryGb: 8 }]) await addAgent(declaration);
  const everyone = (): ServiceProcess[] => [...registries, ...orchestrators, ...agents];

  const clients = new Map<string, HeadroomClient>();
  function clientOf(registry: number, orchestrator: number): HeadroomClient {
    const key = `${registry}/${orchestrator}`;
    const made =
      clients.get(key) ??
      createHeadroomClient(
        {
          registry: registries[registry]!.grpcAddress,
          orchestrator: orchestrators[orchestrator]!.grpcAddress,
          tokenFile: settings.tokenFile,
          userAgent: "headroom-e2e",
        },
        { env: {} },
      );
    clients.set(key, made);
    return made;
  }

  const logs = (lines?: number): string =>
    everyone()
      .map((one) => lastWords(one, lines))
      .join("\n");

  async function ready({ agents: wanted = agents.length, timeoutMs = 45_000 }: ReadySettings = {}): Promise<void> {
    let seen = "nothing yet";
    await waitFor(
      async () => {
        for (const index of orchestrators.keys()) {
          const talker = clientOf(index % registries.length, index);
          const { registryConnected } = must(await talker.queue.status({ timeoutMs: 2_000 }));
          const able = must(await talker.fleet.list({}, { timeoutMs: 2_000 })).agents.filter(canWork);
          seen = `${able.length} of ${wanted} agents online and attached; registry watched: ${registryConnected}`;
          if (!registryConnected || able.length < wanted) return false;
        }
        return true;
      },
      { timeoutMs, describe: () => `the cluster to be ready (${seen})\n${logs()}` },
    );
  }

  async function planEnd(planId: string, timeoutMs = 60_000): Promise<wire.Plan> {
    let seen: wire.Plan | undefined;
    return waitFor(
      async () => {
        seen = must(await clientOf(0, 0).plans.get(planId));
        return seen.finishedAt === undefined ? undefined : seen;
      },
      { timeoutMs, describe: () => `plan ${planId} to end; seen ${JSON.stringify(seen?.counts)}\n${logs()}` },
    );
  }

  async function stopAll(): Promise<void> {
    for (const opened of clients.values()) opened.close();
    await Promise.all(everyone().map((one) => one.kill9()));
    endLeftoverTasks(ledger);
    await ownDatabase?.drop();
    await dir.remove();
  }
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= stopAll());

  try {
    for (const one of everyone()) one.start();
    // A machine that is busy with other tests takes its time to start so many programs.
    await ready({ timeoutMs: options.startMs ?? 80_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    dir: dir.path,
    tokenFile: settings.tokenFile,
    client: clientOf(0, 0),
    clientOf,
    registries,
    orchestrators,
    agents,
    registry: registries[0]!,
    orchestrator: orchestrators[0]!,
    agent: agents[0]!,
    ledger,
    sql: (text, values) => database.sql(text, values),
    ready,
    async addAgent(declaration) {
      const made = await addAgent(declaration);
      made.start();
      return made;
    },
    planEnd,
    logs,
    stop,
  };
}

/** Online, and its work stream to an orchestrator is up. */
function canWork({ status, capacity }: wire.Agent): boolean {
  return status === wire.AgentStatus.AGENT_STATUS_ONLINE && capacity?.attached === true;
}

const endpoint = ({ name, grpcAddress }: ServiceMember): { readonly name: string; readonly address: string } => ({
  name,
  address: grpcAddress,
});

function rotated<T>(items: readonly T[], first: number): readonly T[] {
  const start = first % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
