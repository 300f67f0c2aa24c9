import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { createHeadroomClient, endpointsFile, type wire } from "@headroom/client";
import { type EmbeddedPostgres, startEmbedded } from "@headroom/postgres";
import {
  createLogger,
  ensureDir,
  formatHostPort,
  type HostPort,
  type Ports,
  type RootLogger,
  sleep,
  writeFileAtomic,
} from "@headroom/runtime";
import type { PartFacts, PartName } from "../parts.ts";
import { type AddressKey, logFileOf, type UpSettings } from "./settings.ts";
import { probeAddresses, reachable } from "./addresses.ts";
import { type Child, superviseChild } from "./child.ts";
import { takeInstanceLock } from "./instance-lock.ts";
import { tellingLogger } from "./telling-logger.ts";

export interface UpOptions {
  readonly settings: UpSettings;
  readonly ports: Ports;
  /** For the person at the terminal. */
  readonly say: (line: string) => void;
  /** PostgreSQL is lost for good, or the data folder: everything has to stop. */
  readonly onFatal: (error: Error) => void;
}

/** Everything, running. */
export interface Up {
  readonly addresses: Readonly<Record<AddressKey, string>>;
  /** Of the embedded PostgreSQL; null with a DATABASE_URL. */
  readonly embeddedUrl: string | null;
  readonly agentId: string | null;
  /** This machine's figures; null when they do not come in time. */
  machine(): Promise<wire.GetAgentCapacityResponse | null>;
}

/** Undoes what was started, in reverse. */
type Undo = { readonly what: string; run(): Promise<void> };

/** Longer than the services' own 25 s for a stop. */
const serviceGraceMs = 30_000;
/** For the agent to hand in the results, when all that it runs has ended; longer than its own 15 s. */
const afterAgentGraceMs = 35_000;
const machineWaitMs = 3_000;

/** Starts and stops all parts of one machine. */
export class UpSupervisor {
  readonly #options: UpOptions;
  readonly #undos: Undo[] = [];
  readonly #children: Child[] = [];
  #starting: Promise<Up> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #stop = new AbortController();
  #logger: RootLogger | undefined;
  #isPostgresStarting = false;

  constructor(options: UpOptions) {
    this.#options = options;
  }

  /** Rejects when something cannot start; what had started is left for `stop`. */
  start(): Promise<Up> {
    this.#starting ??= this.#startAll();
    return this.#starting;
  }

  async #startAll(): Promise<Up> {
    const { settings, ports } = this.#options;
    const { paths } = settings;
    // Others may pass through: PostgreSQL runs as another user when this is root.
    await ensureDir(paths.dataDir, 0o755);
    // Others find the list of addresses in it.
    await ensureDir(paths.runDir, 0o755);
    const lock = await takeInstanceLock(paths.runDir, paths.dataDir, ports, {
      say: this.#options.say,
      signal: this.#stop.signal,
      onLost: this.#options.onFatal,
    });
    this.#undos.push({ what: "the lock", run: () => lock.release() });
    const chosen = await probeAddresses(settings.addresses);
    await ensureDir(paths.logsDir, 0o700);
    const logger = createLogger({
      name: "up",
      file: logFileOf(paths, "up"),
      maxFileMb: 5,
      stderr: false,
    });
    this.#logger = logger;
    this.#undos.push({ what: "the log", run: () => this.#closeLog(logger) });
    const embedded = settings.databaseUrl === null ? await this.#startPostgres(logger) : null;
    this.#throwIfStopping();
    const agentId = await this.#startParts(chosen, embedded?.connectionString ?? settings.databaseUrl ?? "");
    await this.#tellEndpoints(chosen);
    return {
      addresses: mapValues(chosen, formatHostPort),
      embeddedUrl: embedded?.connectionString ?? null,
      agentId,
      machine: () => this.#machine(chosen, agentId),
    };
  }

  /** Agent first, so that what it runs goes back to the queue; then orchestrator, registry, PostgreSQL. Idempotent. */
  stop(): Promise<void> {
    this.#stop.abort(stoppedWhileStarting());
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    await this.#undoAll();
    // A start that was under way ends now, for its children are gone; it may have added to the list meanwhile.
    await this.#starting?.catch(() => undefined);
    await this.#undoAll();
  }

  /** Ends the children at once; `stop` then has only PostgreSQL to end, and says so where it has to be started first. */
  kill(): void {
    if (this.#isPostgresStarting)
      this.#say("headroom: waiting for PostgreSQL, which is just being started, to stop it");
    for (const child of this.#children) child.kill();
  }

  async #undoAll(): Promise<void> {
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) {
      const { what } = undo;
      await undo.run().catch((error: unknown) => this.#say(`headroom: ${what} did not stop cleanly: ${String(error)}`));
    }
  }

  /** In the log too: the terminal may be gone. */
  readonly #say = (line: string): void => {
    this.#options.say(line);
    this.#logger?.info(line);
  };

  #closeLog(logger: RootLogger): Promise<void> {
    this.#logger = undefined;
    logger.close();
    return Promise.resolve();
  }

  #throwIfStopping(): void {
    this.#stop.signal.throwIfAborted();
  }

  async #startPostgres(logger: RootLogger): Promise<EmbeddedPostgres> {
    const { settings, ports, onFatal } = this.#options;
    const say = this.#say;
    this.#isPostgresStarting = true;
    const embedded = await startEmbedded({
      dataDir: settings.paths.postgresDir,
      // The terminal hears of its errors in lines like those of the other parts.
      logger: tellingLogger(logger, (line) => this.#options.say(line)),
      ports,
      say: (line) => this.#say(`headroom: ${line}`),
      signal: this.#stop.signal,
      onGaveUp: onFatal,
    }).finally(() => (this.#isPostgresStarting = false));
    if (embedded.adopted) say("headroom: took over the PostgreSQL that an earlier run had left running");
    this.#undos.push({
      what: "PostgreSQL",
      async run() {
        say("headroom: stopping PostgreSQL");
        await embedded.stop();
      },
    });
    return embedded;
  }

  /** All at once: each waits for the others by itself. */
  async #startParts(chosen: Readonly<Record<AddressKey, HostPort>>, databaseUrl: string): Promise<string | null> {
    const { settings, ports } = this.#options;
    const say = this.#say;
    const listen = (key: AddressKey): Record<string, string> => ({
      [settings.addresses[key].variable]: formatHostPort(chosen[key]),
    });
    const env = {
      ...settings.env,
      ...listen("registryGrpc"),
      ...listen("registryHttp"),
      ...listen("orchestratorGrpc"),
      ...listen("orchestratorHttp"),
      DATABASE_URL: databaseUrl,
      HEADROOM_REGISTRY_ADDR: reachable(chosen.registryGrpc),
      HEADROOM_ORCHESTRATOR_ADDR: reachable(chosen.orchestratorGrpc),
    };
    const launch = (name: PartName, childEnv: UpSettings["env"]): Promise<PartFacts> => {
      this.#throwIfStopping();
      const child = superviseChild({
        name,
        entry: settings.entry,
        env: childEnv,
        ports,
        logFile: logFileOf(settings.paths, name),
        say,
      });
      this.#children.push(child);
      this.#undos.push({ what: `the ${name}`, run: () => stopChild(child, name, { ...settings, say }) });
      return child.start();
    };
    // The agent needs no database, and what it does not have it cannot lose.
    const agentEnv = { ...env, DATABASE_URL: undefined };
    const [, , agent] = await Promise.all([
      launch("registry", env),
      launch("orchestrator", env),
      launch("agent", agentEnv),
    ]);
    return agent.agentId;
  }

  /** So that other commands with this data folder find the services whatever their ports. */
  async #tellEndpoints(chosen: Readonly<Record<AddressKey, HostPort>>): Promise<void> {
    const file = endpointsFile(this.#options.settings.paths.dataDir);
    await ensureDir(dirname(file), 0o755);
    const endpoints = {
      registry: reachable(chosen.registryGrpc),
      orchestrator: reachable(chosen.orchestratorGrpc),
      pid: process.pid,
    };
    await writeFileAtomic(file, `${JSON.stringify(endpoints)}\n`, { mode: 0o644 });
    this.#undos.push({ what: "the list of addresses", run: () => rm(file, { force: true }) });
  }

  async #machine(
    chosen: Readonly<Record<AddressKey, HostPort>>,
    agentId: string | null,
  ): Promise<wire.GetAgentCapacityResponse | null> {
    const { settings, ports } = this.#options;
    if (agentId === null) return null;
    const client = createHeadroomClient(
      {
        registry: reachable(chosen.registryGrpc),
        ...(settings.tokenFile !== null && { tokenFile: settings.tokenFile }),
        dataDir: settings.paths.dataDir,
        ...(settings.clientTls !== null && { tls: settings.clientTls }),
      },
      { ports, env: settings.env },
    );
    try {
      const endMs = ports.clock.monotonic() + machineWaitMs;
      for (;;) {
        const answer = await client.capacity.getAgent(agentId, { timeoutMs: machineWaitMs });
        if (answer.kind === "ok" && answer.value.timestamp !== undefined) return answer.value;
        if (ports.clock.monotonic() >= endMs) return null;
        await sleep(ports.timers, 50);
      }
    } finally {
      client.close();
    }
  }
}

const stoppedWhileStarting = (): Error => new Error("stopped while starting");

export interface StopChildOptions {
  /** What the agent gives its tasks from TERM to KILL. */
  readonly agentStopGraceMs: number;
  readonly say: (line: string) => void;
}

/** Ends a part, and says so if it runs. */
export async function stopChild(child: Child, name: PartName, options: StopChildOptions): Promise<void> {
  const { agentStopGraceMs, say } = options;
  if (child.pid() !== null) {
    say(
      name === "agent" && child.wasReady()
        ? "headroom: stopping the agent; what it runs is ended and goes back to the queue"
        : `headroom: stopping the ${name}`,
    );
  }
  await child.stop(name === "agent" ? agentStopGraceMs + afterAgentGraceMs : serviceGraceMs);
}

function mapValues<K extends string, V, W>(
  record: Readonly<Record<K, V>>,
  map: (value: V) => W,
): Readonly<Record<K, W>> {
  // Keys of a record of K are K.
  return Object.fromEntries((Object.keys(record) as K[]).map((key) => [key, map(record[key])])) as Record<K, W>;
}
