/**
 * Writes what beats said: states of liveness and the first sample of a session at once, other samples at once or soon after those before them, many
 * agents in one statement. Only the newest of each agent is kept, so what waits is bounded by the fleet, however long the store is away.
 */
import {
  type Clock,
  type Logger,
  type ManagedService,
  Outage,
  type Ports,
  RunLoop,
  type Timer,
} from "@headroom/runtime";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import {
  type BeatWrite,
  type RegistryStore,
  type StatusWrite,
  StoreUnavailableError,
} from "../store/registry-store.ts";
import { LineBudget } from "./line-budget.ts";
import type { Pulses } from "./pulses.ts";
import { writeApart } from "./write-apart.ts";

export interface StateWriterOptions {
  /** This process. */
  readonly replicaId: string;
  readonly fleet: Fleet;
  readonly pulses: Pulses;
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
  readonly ports: Ports;
  readonly logger: Logger;
  /** Whether another process waits for what is written. */
  readonly hasReaders: () => boolean;
  /** Samples, or the times of beats, were written. */
  readonly onBeatsWritten: () => void;
}

/** From one look at what waits to the next, and from a failure to the next try. */
const INTERVAL_MS = 1_000;
/** From one write of samples to the next. */
const GATHER_MS = 1_000;
/** The same where another process is to know them within a second: the rest of it is what that one takes to hear of them and to read them. */
const GATHER_FOR_OTHERS_MS = 800;
/** A timer may come so much early. */
const EARLY_MS = 5;
/** Rows of one statement. */
const MAX_ROWS = 1_000;

type WriteAgents = (agentIds: readonly string[]) => Promise<{ readonly nowMs: number }>;

export class StateWriter implements ManagedService {
  readonly name = "state-writer";
  readonly #options: StateWriterOptions;
  readonly #clock: Clock;
  readonly #loop: RunLoop;
  readonly #statuses = new Set<string>();
  readonly #beats = new Set<string>();
  readonly #samples = new Set<string>();
  #beatsWrittenAtMs = Number.NEGATIVE_INFINITY;
  #hasFirstSample = false;
  #timer: Timer | undefined;
  readonly #outage: Outage;
  readonly #refusedLines = new LineBudget();

  constructor(options: StateWriterOptions) {
    this.#options = options;
    this.#outage = new Outage(options.logger, {
      fails: "the fleet's states cannot be written now; the newest of each agent is kept and tried again every second",
      works: "the database takes the fleet's states again",
    });
    this.#clock = options.ports.clock;
    this.#loop = new RunLoop({
      name: this.name,
      ports: options.ports,
      intervalMs: INTERVAL_MS,
      errorDelayMs: INTERVAL_MS,
      runAtStart: false,
      run: () => this.#run(),
      onError: (error) => this.#failed(error),
    });
  }

  start(): Promise<void> {
    return this.#loop.start();
  }

  /** Writes what is left, unless the store is away. */
  async stop(reason?: string): Promise<void> {
    this.#timer?.cancel();
    await this.#loop.stop(reason);
    await this.flush().catch((error: unknown) => this.#failed(error));
  }

  state(): ReturnType<ManagedService["state"]> {
    return this.#loop.state();
  }

  /** How many agents' states wait to be written. */
  get waiting(): number {
    return this.#statuses.size + this.#beats.size;
  }

  /** The agent's status, or what goes with it, changed: written at once, together with whatever else is. */
  statusChanged(agentId: string): void {
    this.#statuses.add(agentId);
    this.#loop.wake("status");
  }

  /** A sample came. */
  sampled(agentId: string): void {
    this.#samples.add(agentId);
    this.#beats.add(agentId);
    this.#writeSoon();
  }

  get #gatherMs(): number {
    return this.#options.hasReaders() ? GATHER_FOR_OTHERS_MS : GATHER_MS;
  }

  /** When the time to gather is over: a run of the loop that comes a moment too early for it would leave them for another second. */
  #writeSoon(): void {
    const gatheredMs = this.#clock.monotonic() - this.#beatsWrittenAtMs;
    const wake = (): void => {
      this.#timer = undefined;
      this.#loop.wake("samples");
    };
    const inMs = Math.max(0, Math.ceil(this.#gatherMs - gatheredMs));
    this.#timer ??= this.#options.ports.timers.after(inMs, wake, { keepAlive: false });
  }

  /** The first sample of a session came: until it is written other processes know of an agent without figures. */
  firstSample(agentId: string): void {
    this.sampled(agentId);
    this.#hasFirstSample = true;
    this.#loop.wake("first sample");
  }

  /** Writes everything now. Rejects when the store is away; what was not written stays. */
  async flush(): Promise<void> {
    await this.#writeAll(() => true);
  }

  async #run(): Promise<void> {
    await this.#writeAll(() => {
      const isDue = this.#clock.monotonic() - this.#beatsWrittenAtMs >= this.#gatherMs - EARLY_MS;
      return isDue || this.#hasFirstSample;
    });
  }

  /** A status that cannot be written must not keep the samples of the fleet; a store that is away is not asked twice. */
  async #writeAll(withBeats: () => boolean): Promise<void> {
    let failure: { readonly error: unknown } | null = null;
    try {
      await this.#writeStatuses();
    } catch (error) {
      if (error instanceof StoreUnavailableError) throw error;
      failure = { error };
    }
    if (withBeats()) await this.#writeBeats();
    if (failure !== null) throw failure.error;
    this.#outage.worked();
  }

  async #writeStatuses(): Promise<void> {
    await this.#write(this.#statuses, (agentIds) =>
      this.#options.store.writeStatuses(agentIds.flatMap((agentId) => this.#statusWrite(agentId))),
    );
  }

  async #writeBeats(): Promise<void> {
    this.#hasFirstSample = false;
    if (this.#beats.size === 0) return;
    this.#beatsWrittenAtMs = this.#clock.monotonic();
    await this.#write(this.#beats, async (agentIds) => {
      const withSample = new Set(agentIds.filter((agentId) => this.#samples.delete(agentId)));
      try {
        return await this.#options.store.writeBeats(
          agentIds.flatMap((agentId) => this.#beatWrite(agentId, withSample.has(agentId))),
        );
      } catch (error) {
        for (const agentId of withSample) this.#samples.add(agentId);
        throw error;
      }
    });
    this.#options.onBeatsWritten();
  }

  /** Takes agents out of the set and writes them; those that the store did not take are put back, unless it is for something in their own state. */
  async #write(dirty: Set<string>, write: WriteAgents): Promise<void> {
    while (dirty.size > 0) {
      const agentIds = [...dirty].slice(0, MAX_ROWS);
      for (const agentId of agentIds) dirty.delete(agentId);
      const { refused, failure } = await writeApart(agentIds, async (some) => {
        const { nowMs } = await write(some);
        this.#options.storeClock.observe(nowMs);
      });
      for (const { id, error } of refused) this.#sayRefused(id, error);
      if (failure === null) continue;
      for (const agentId of failure.left) dirty.add(agentId);
      throw failure.error;
    }
  }

  #sayRefused(agentId: string, error: unknown): void {
    const { mayWrite, withheld } = this.#refusedLines.take(this.#clock.monotonic());
    this.#options.logger[mayWrite ? "error" : "debug"](
      { err: error, agent_id: agentId, ...(withheld > 0 && { withheld }) },
      "the database cannot take this state of the agent",
    );
  }

  #statusWrite(agentId: string): readonly StatusWrite[] {
    const { fleet, replicaId } = this.#options;
    const agent = fleet.get(agentId);
    if (agent === undefined) return [];
    const { epoch, status, statusReason, statusSinceMs, attached, ownerHold, flapping } = agent;
    return [{ replicaId, agentId, epoch, status, statusReason, statusSinceMs, attached, ownerHold, flapping }];
  }

  #beatWrite(agentId: string, withSample: boolean): readonly BeatWrite[] {
    const { fleet, pulses, replicaId } = this.#options;
    const agent = fleet.get(agentId);
    // Of an agent that another process holds by now the fleet has what that one wrote: it would be written back over what is newer.
    if (agent === undefined || agent.replicaId !== replicaId) return [];
    const heardAtMs = pulses.get(agentId)?.heardAtMs ?? this.#clock.monotonic();
    const silentMs = this.#clock.monotonic() - heardAtMs;
    return [{ agentId, epoch: agent.epoch, silentMs, sample: withSample ? agent.sample : null }];
  }

  #failed(error: unknown): void {
    this.#outage.failed(error, { agents_waiting: this.waiting });
  }
}
