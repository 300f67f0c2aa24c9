/**
 * Registry processes on one database: each says every second that it lives, and follows what the others hold, every second and when they tell it
 * to (`sample-news.ts`). With nobody else there it costs one small statement a second.
 */
import { type Logger, Outage, type Ports, RunLoop, sleep, type Timer } from "@headroom/runtime";
import { type EpochMs, isSameFlapping } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import { type Holder, mergeLoaded } from "../fleet/merge-loaded.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import type { RegistryStore, ReplicaLease, StoredAgents } from "../store/registry-store.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { ForeignDoubts } from "./foreign-doubts.ts";
import type { Liveness } from "./liveness.ts";
import { LookPace } from "./look-pace.ts";
import type { Pulses } from "./pulses.ts";

export interface ReplicasOptions {
  readonly replicaId: string;
  readonly fleet: Fleet;
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
  readonly liveness: Liveness;
  readonly pulses: Pulses;
  readonly ports: Ports;
  readonly logger: Logger;
  /** From one beat to the next at a process that holds so many agents. */
  readonly intervalMsOf: (agentsHeld: number) => number;
  /** An operator has confirmed the losses that are held back. */
  readonly onLossesConfirmed: () => void;
  /** The agent has opened a newer session elsewhere. */
  readonly onMovedAway: (agent: StoredAgent) => void;
  /** Of a session that this process holds the store says something else than this process knows. */
  readonly onDisputed: (agentId: string) => void;
  /** This process has not reached the store for so long that others, which may reach it, are to be asked instead. */
  readonly onCutOff: () => void;
  /** It has caught up again with what the others know. */
  readonly onCaughtUp: () => void;
}

/** For what nobody told of, and for the lease. */
const INTERVAL_MS = 1_000;
const LEASE_MS = 5_000;
/** A row that is gone although so much of its lease was left was deleted by its process, which has stopped in order. */
const MIN_LEASE_LEFT_MS = 500;
/** By what was read longer ago no room is promised: normally it is a second old, and much older only when the database was away or this process stood still. */
const OUTDATED_MS = 3_000;
/**
 * What is known is too old to be told when it is older than three leases: by then other processes, if it is only this one that cannot reach the store, have
 * given it up long ago; and a PostgreSQL that is started again, or fails over, is mostly back.
 */
const CUT_OFF_MS = 15_000;
/** At the start: from one look for those of which it is not known yet whether they live to the next. */
const MEET_INTERVAL_MS = 250;
/** Whoever lives renews its lease every second: at the start one that has not done so for twice as long is not waited for. */
const MEET_WITHIN_MS = 2_000;
/** Changes are read again this long after they were made: a transaction shows its beginning as its time. */
const OVERLAP_MS = 10_000;

export class Replicas {
  readonly loop: RunLoop;
  readonly #options: ReplicasOptions;
  /** Leases as they stood at the first look: whoever renews since then lives, the others may have died before. */
  #firstSeen: ReadonlyMap<string, EpochMs> | null = null;
  #alive: ReadonlySet<string> = new Set();
  /** Leases of the others as of the last look. */
  #leases: ReadonlyMap<string, EpochMs> = new Map();
  /** Some had not proved to live by the last look which read all that there was to read, and renewed so shortly before it that they may yet. */
  #hasUnmet = false;
  #lossesConfirmedAtMs: EpochMs | null = null;
  #followedToMs: EpochMs = 0;
  /** When what is known now was asked for, monotonic. */
  #followedAtMs = Number.NEGATIVE_INFINITY;
  #following: Promise<void> | null = null;
  /** Another one lived when this process last took over what the others changed: there is more of it to be read. */
  #hasToFollow = false;
  /** Another one lives of which not all that it holds has been read yet. */
  #hasNewcomer = false;
  #isCutOff = false;
  readonly #doubts: ForeignDoubts;
  /** Of the looks that the others ask for. */
  readonly #pace: LookPace;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#doubts = new ForeignDoubts({ ...options, clock: options.ports.clock });
    const outage = new Outage(options.logger, {
      fails:
        "this registry process can neither renew its lease nor follow the others now; tried again every second. Without it the others take this one for dead",
      works: "this registry process renews its lease and follows the others again",
    });
    this.loop = new RunLoop({
      name: "replicas",
      ports: options.ports,
      intervalMs: INTERVAL_MS,
      errorDelayMs: INTERVAL_MS,
      run: async () => {
        await this.refresh();
        outage.worked();
      },
      onError: (error) => outage.failed(error),
    });
    this.#pace = new LookPace({
      clock: options.ports.clock,
      timers: options.ports.timers,
      longestRestMs: INTERVAL_MS,
      look: () => this.loop.wake("news"),
    });
  }

  /** Whether another process holds the agent, and lives. */
  isHeldElsewhere({ replicaId }: StoredAgent): boolean {
    return replicaId !== null && replicaId !== this.#options.replicaId && this.#alive.has(replicaId);
  }

  /** Whether this process has not been able to follow the others for so long that what it knows of them is told no more. */
  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /** Renews the own lease and takes over what the others changed; who asks while that is under way waits for it. Rejects when the store is away. */
  refresh(): Promise<void> {
    return (this.#following ??= this.#tryToRefresh().finally(() => (this.#following = null)));
  }

  /**
   * For whoever promises room: resolves when what is known of the others' agents is new enough for it, mostly at once. Before the first statement after
   * an outage it is as old as the outage. Rejects when the store is away.
   */
  async catchUp(): Promise<void> {
    if (this.#options.ports.clock.monotonic() - this.#followedAtMs > OUTDATED_MS) await this.refresh();
  }

  /** Whether another process lives. */
  get hasOthers(): boolean {
    return this.#alive.size > 0;
  }

  /**
   * At the start, while the loop runs: resolves when of each other process it is known whether it lives, and what it holds is known as it knows it; mostly
   * at once where there is none, within a second or two where one lives or has just died, and after 5 s in any case. Rejects when `signal` aborts.
   */
  async meetOthers(signal: AbortSignal): Promise<void> {
    const { clock, timers } = this.#options.ports;
    const untilMs = clock.monotonic() + LEASE_MS;
    while (this.#waitsForOthers() && clock.monotonic() < untilMs) {
      this.loop.wake("others are looked for");
      await sleep(timers, MEET_INTERVAL_MS, signal);
    }
  }

  /** Judged by whole looks alone: while one is under way, or fails, nobody is taken for dead, and whoever has proved to live is not known yet. */
  #waitsForOthers(): boolean {
    return this.#hasNewcomer || this.#hasUnmet;
  }

  /** Another process has told of something new: it is looked for soon. */
  newsHeard(): void {
    this.#pace.told();
  }

  /** What was heard is not looked for any more. */
  forgetNews(): void {
    this.#pace.forget();
  }

  async #tryToRefresh(): Promise<void> {
    this.#pace.began();
    try {
      await this.#refresh();
    } catch (error) {
      this.#notRefreshed();
      throw error;
    } finally {
      this.#pace.ended();
    }
    if (!this.#isCutOff) return;
    this.#isCutOff = false;
    this.#doubts.end();
    this.#options.onCaughtUp();
    this.#options.logger.info("this registry process is no longer cut off from its database, and serves again");
  }

  /** Judged after a failure only: a process that has stood still asks first, and mostly knows what is new within the second. */
  #notRefreshed(): void {
    const { ports, logger, onCutOff } = this.#options;
    // Infinite before the first success: such a process does not serve yet.
    const silentMs = ports.clock.monotonic() - this.#followedAtMs;
    if (this.#isCutOff || !Number.isFinite(silentMs) || silentMs < CUT_OFF_MS) return;
    this.#isCutOff = true;
    // Whoever watches goes before all the doubts are told.
    onCutOff();
    const doubted = this.#doubts.begin((agent) => this.isHeldElsewhere(agent));
    logger.error(
      { silent_ms: Math.round(silentMs), doubted_agents: doubted },
      "this registry process is cut off from its database: it serves no more, sends orchestrators to another one, and doubts the agents of others; its own stay",
    );
  }

  async #refresh(): Promise<void> {
    const { replicaId, store, storeClock, onLossesConfirmed } = this.#options;
    const askedAtMs = storeClock.asking();
    const { replicas, lossesConfirmedAtMs, nowMs } = await store.renewReplica(replicaId, LEASE_MS);
    storeClock.observe(nowMs, askedAtMs);
    // It is gone with the row, where another process took this one for dead: that confirms nothing.
    if (lossesConfirmedAtMs !== null && lossesConfirmedAtMs !== this.#lossesConfirmedAtMs) {
      this.#lossesConfirmedAtMs = lossesConfirmedAtMs;
      onLossesConfirmed();
    }
    const others = replicas.filter((replica) => replica.replicaId !== replicaId);
    this.#firstSeen ??= new Map(others.map((other) => [other.replicaId, other.leaseExpiresAtMs]));
    const before = this.#alive;
    const alive = new Set(others.filter((other) => this.#provesAlive(other, nowMs)).map((other) => other.replicaId));
    const gone = [...before].filter((other) => !alive.has(other));
    const stopped = gone.filter((other) => (this.#leases.get(other) ?? nowMs) - nowMs > MIN_LEASE_LEFT_MS);
    for (const other of gone) if (!stopped.includes(other)) this.#doubtAgentsOf(other);
    this.#leases = new Map(others.map((other) => [other.replicaId, other.leaseExpiresAtMs]));
    this.#hasNewcomer ||= [...alive].some((other) => !before.has(other));
    this.#hasToFollow ||= alive.size > 0;
    // What one that has stopped in order wrote last is read as of one that lives: it knew its agents. Of the dead that was read long ago.
    this.#alive = new Set([...alive, ...stopped]);
    try {
      if (this.#hasToFollow) await this.#followOthers();
    } finally {
      this.#alive = alive;
      for (const other of stopped) this.#waitForAgentsOf(other);
    }
    this.#hasToFollow = alive.size > 0;
    this.#hasNewcomer = false;
    this.#hasUnmet = others.some(
      (other) => !alive.has(other.replicaId) && nowMs - (other.leaseExpiresAtMs - LEASE_MS) < MEET_WITHIN_MS,
    );
    this.#followedAtMs = askedAtMs;
  }

  async #followOthers(): Promise<void> {
    const { fleet, store } = this.#options;
    // Who says hello here while the store is asked may be missing in its answer, or be told as removed before.
    const renewed = new Set<string>();
    const unsubscribe = fleet.onChange(({ agentId, before, after }) => {
      if (before?.epoch !== after?.epoch) renewed.add(agentId);
    });
    try {
      const sinceMs = this.#followedToMs - OVERLAP_MS;
      const found = await this.#whileRenewing(
        this.#hasNewcomer ? this.#loadAll(sinceMs) : store.loadChangedSince(sinceMs),
      );
      const removedAgentIds = found.removedAgentIds.filter((agentId) => !renewed.has(agentId));
      this.#follow(found, removedAgentIds);
    } finally {
      unsubscribe();
    }
  }

  /** Whoever is not there any more was removed, perhaps long before this process began to follow. */
  async #loadAll(sinceMs: EpochMs): Promise<StoredAgents & { readonly removedAgentIds: readonly string[] }> {
    const { fleet, store } = this.#options;
    const loaded = await store.loadFleet(sinceMs);
    const there = new Set(loaded.agents.map(({ agentId }) => agentId));
    const absent = [...fleet.agents()].filter(({ agentId }) => !there.has(agentId));
    return { ...loaded, removedAgentIds: absent.map(({ agentId }) => agentId) };
  }

  /** To read what the others did may take longer than the lease. */
  async #whileRenewing<T>(reading: Promise<T>): Promise<T> {
    const { replicaId, store, ports } = this.#options;
    let timer: Timer | undefined;
    let renewal: Promise<unknown> = Promise.resolve();
    const renewLater = (): void => {
      timer = ports.timers.after(INTERVAL_MS, () => {
        // Who else lives is looked at, and a failure told, when this is over.
        renewal = store.renewReplica(replicaId, LEASE_MS).then(renewLater, renewLater);
      });
    };
    renewLater();
    try {
      return await reading;
    } finally {
      timer?.cancel();
      await renewal;
      timer?.cancel();
    }
  }

  #provesAlive({ replicaId, leaseExpiresAtMs }: ReplicaLease, nowMs: EpochMs): boolean {
    if (leaseExpiresAtMs <= nowMs) return false;
    // Another one than at first, not a later one: the database's clock may have been set back since.
    return leaseExpiresAtMs !== this.#firstSeen?.get(replicaId);
  }

  /**
   * It has stopped in order and sent its agents away: they are online until their TTL, by which they are back. That is the TTL of a process which held
   * as many: the more they are, the longer they were told to take. Some may be back by now; those that are left need no more time than their number gives.
   */
  #waitForAgentsOf(replicaId: string): void {
    const { fleet, pulses, ports, logger, intervalMsOf } = this.#options;
    logger.info({ replica_id: replicaId }, "another registry process has stopped: its agents are on their way");
    this.#doubts.end((agent) => agent.replicaId === replicaId);
    const nowMs = ports.clock.monotonic();
    const coming = [...fleet.agents()].filter((agent) => agent.replicaId === replicaId && agent.status === "online");
    const intervalMs = intervalMsOf(coming.length);
    for (const { agentId } of coming) {
      pulses.heard(agentId, nowMs);
      pulses.told(agentId, intervalMs);
    }
  }

  /** It has died. Its agents are to come back, and are not blamed for it. */
  #doubtAgentsOf(replicaId: string): void {
    const { fleet, liveness, logger } = this.#options;
    logger.warn(
      { replica_id: replicaId },
      "another registry process is gone: its agents are suspect until they reconnect",
    );
    // Else those that are doubted in memory would stay so for as long as their doubt has lasted already, and without a word to the store.
    this.#doubts.end((agent) => agent.replicaId === replicaId);
    for (const agent of [...fleet.agents()]) {
      if (agent.replicaId === replicaId) {
        liveness.apply(agent.agentId, "stream_closed", "the registry process that held it is gone", {
          isFlap: false,
        });
      }
    }
  }

  /** Takes over what the store says of agents, as far as it is newer. */
  take(agents: readonly StoredAgent[]): void {
    for (const loaded of agents) this.#takeOne(loaded);
  }

  #takeOne(loaded: StoredAgent): void {
    const { fleet, pulses, ports, replicaId, onMovedAway } = this.#options;
    const current = fleet.get(loaded.agentId);
    const holder = this.#holderOf(loaded);
    const merged = mergeLoaded(current, loaded, holder);
    // Another process took this one for dead, and its agents for lost, while the database was slow: it is told how they really are.
    if (holder === "this_process" && merged.epoch === loaded.epoch && merged.status !== loaded.status) {
      this.#options.onDisputed(loaded.agentId);
    }
    if (current !== undefined && isSame(current, merged)) return;
    if (merged.status !== current?.status) {
      // Whatever this process thought of it before: its doubts begin with this news, or end with it.
      const nowMs = ports.clock.monotonic();
      pulses.heard(merged.agentId, nowMs);
      pulses.doubt(merged.agentId, merged.status === "suspect" || merged.status === "unknown", nowMs);
    }
    fleet.put(merged);
    if (current?.replicaId === replicaId && merged.replicaId !== replicaId) onMovedAway(current);
  }

  #withOlderTombstones(agents: readonly StoredAgent[], nowMs: EpochMs): readonly StoredAgent[] {
    const { fleet } = this.#options;
    const moved = new Map<string, string[]>();
    for (const { agentId, reservations } of agents) {
      for (const { attemptId } of reservations.values()) {
        const before = fleet.reservation(attemptId)?.agentId;
        if (before === undefined || before === agentId) continue;
        const attemptIds = moved.get(before);
        if (attemptIds === undefined) moved.set(before, [attemptId]);
        else attemptIds.push(attemptId);
      }
    }
    return agents.map((loaded) => {
      const current = fleet.get(loaded.agentId);
      if (current === undefined || current.guardVersion >= loaded.guardVersion) return loaded;
      const reservations = current.reservations.renewed(loaded.reservations, moved.get(loaded.agentId) ?? [], nowMs);
      return { ...loaded, reservations };
    });
  }

  #holderOf(agent: StoredAgent): Holder {
    if (agent.replicaId === this.#options.replicaId) return "this_process";
    return this.isHeldElsewhere(agent) ? "another_living" : "nobody";
  }

  /** At the start: all agents with all tombstones. What comes later is read from here on. */
  begin(loaded: StoredAgents): void {
    this.#followedToMs = loaded.nowMs;
    this.take(loaded.agents);
  }

  #follow({ agents, nowMs }: StoredAgents, removedAgentIds: readonly string[]): void {
    this.#followedToMs = nowMs;
    this.take(this.#withOlderTombstones(agents, nowMs));
    for (const agentId of removedAgentIds) this.#options.fleet.remove(agentId);
  }
}

/** Rows are read again and again because of the overlap; what did not change must not look like a change. */
function isSame(a: StoredAgent, b: StoredAgent): boolean {
  return (
    a.epoch === b.epoch &&
    a.guardVersion === b.guardVersion &&
    a.status === b.status &&
    a.statusSinceMs === b.statusSinceMs &&
    a.attached === b.attached &&
    a.ownerHold === b.ownerHold &&
    a.cordoned === b.cordoned &&
    a.cordonReason === b.cordonReason &&
    a.draining === b.draining &&
    a.drainDeadlineMs === b.drainDeadlineMs &&
    a.administeredAtUs === b.administeredAtUs &&
    isSameFlapping(a.flapping, b.flapping) &&
    a.lastBeatAtMs === b.lastBeatAtMs &&
    a.sample?.sampledAtMs === b.sample?.sampledAtMs
  );
}
