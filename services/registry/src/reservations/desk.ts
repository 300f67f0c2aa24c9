/**
 * The one place of this process where reservations change. Operations that come together are planned together on memory
 * and committed in one transaction; the store's guards say whether memory was right. If another replica came first, what
 * it changed is loaded and all is planned again, so room is never promised twice.
 */
import { Grouped, type Logger } from "@headroom/runtime";
import { HeadroomError, unavailable } from "@headroom/rpc";
import type { EpochMs, ReservationChange } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import {
  type CommitResult,
  type RegistryStore,
  type ReservationCommit,
  StoreUnavailableError,
} from "../store/registry-store.ts";
import type { BookChanges } from "../store/reservation-book.ts";
import type { StoredAgent, StoredReservation } from "../store/stored-agent.ts";
import { AdoptionBudget } from "./adoption-budget.ts";
import { Draft } from "./draft.ts";
import { expire } from "./expire.ts";
import { idsOf } from "./ids-of.ts";
import type { Operation } from "./operation.ts";
import { type Comparison, reconcile, type Reconciled, type Report } from "./reconcile.ts";

export interface DeskOptions {
  readonly fleet: Fleet;
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
  readonly logger: Logger;
  /** Takes over what the store says of agents. */
  readonly takeLoaded: (agents: readonly StoredAgent[]) => void;
  /** Counted by kind of change. */
  readonly onChange?: (change: ReservationChange) => void;
  readonly onConflict?: () => void;
  /** An agent tells of more attempts that nobody reserved than it can have a reason for: nothing of that report was taken. */
  readonly onTooManyUnknown?: (agentId: string, epoch: number) => void;
}

/** Operations planned and committed together. */
const MAX_GROUP = 64;
const MAX_WAITING = 10_000;
/** With 8 busy replicas one wins each round, so 20 rounds are far beyond what contention needs. */
const MAX_ROUNDS = 20;
/** Leases ended in one group; more are ended in the next. */
const MAX_DUE = 1_000;
/** Reports compared in one group; more are compared in the next, which follows at once. */
const MAX_REPORTS = 1_000;
/** With so many rows changed by reports, a group compares no more: whoever waits for the next one waits for their commit. */
const MAX_REPORTED = 1_000;

/** Time passes for the desk too: an operation without anything to answer. */
const TICK: Operation<null> = { name: "tick", attemptIds: [], plan: () => null };

type Settled = PromiseSettledResult<unknown>;

interface Compared {
  readonly agentId: string;
  readonly report: Report;
  /** Null: it was refused, for it tells of too much that nobody knows. */
  readonly comparison: Comparison | null;
}

export class ReservationDesk {
  readonly #options: DeskOptions;
  readonly #groups: Grouped<Operation<unknown>, unknown>;
  /**
   * Agents whose list of attempts is newer than their reservations; a Hello's says more than a Beat's. Each report is an
   * object of its own, to be told from a later one.
   */
  readonly #unreconciled = new Map<string, Report>();
  /** Agents whose list was overtaken by the end of something that it lists. */
  readonly #outdated = new Set<string>();
  readonly #adoptions = new AdoptionBudget();
  #isCommitting = false;
  /** The tick that waits for its group: one does for any number of reports. */
  #waitingTick: Promise<null> | null = null;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#groups = new Grouped({
      max: MAX_GROUP,
      maxWaiting: MAX_WAITING,
      isForAll: (error) => error instanceof StoreUnavailableError || error instanceof HeadroomError,
      makeBusyError: () => unavailable("REGISTRY_BUSY", "too many reservations wait to be written; try again", 1_000),
      run: (operations) => this.#runGroup(operations),
    });
  }

  /** Resolves when the operation's changes are committed and show in the fleet. */
  async submit<Result>(operation: Operation<Result>): Promise<Result> {
    // The group answers each operation with the result of its own plan.
    return (await this.#groups.submit(operation)) as Result;
  }

  /** The agent's latest sample lists other attempts than before. Never throws; retried by the next tick when the store is away. */
  reconcileSoon(agentId: string, report: Report): void {
    const before = this.#unreconciled.get(agentId);
    const isHello = before?.by === "hello" && before.epoch === report.epoch;
    this.#unreconciled.set(agentId, isHello ? { ...report, by: "hello" } : report);
    this.#tickSoon();
  }

  /** A sample has come that lists nothing that is not known. */
  sampleHeard(agentId: string): void {
    this.#outdated.delete(agentId);
  }

  /** Whether the agent is to be asked for a full sample: what it said last cannot tell whether something that was released still runs. */
  wantsSample(agentId: string): boolean {
    return this.#outdated.has(agentId);
  }

  /** Ends leases that have run out, and compares what is left to compare. Rejects when the store is away. */
  async tick(): Promise<void> {
    this.#waitingTick ??= this.submit(TICK);
    const tick = this.#waitingTick;
    try {
      await tick;
    } finally {
      // Refused before a group took it: too many operations wait.
      if (this.#waitingTick === tick) this.#waitingTick = null;
    }
  }

  /** Whether a tick would have something to do. */
  get isDue(): boolean {
    const { fleet, storeClock } = this.#options;
    return this.#unreconciled.size > 0 || fleet.hasLeaseDue(storeClock.now());
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    return this.#groups.idle();
  }

  /**
   * Whether a commit is under way. Until it is over, what memory says of reservations is not the last word: a list that says nothing
   * new compared with it may say something else than what is being written, and has to be compared again.
   */
  get isCommitting(): boolean {
    return this.#isCommitting;
  }

  #tickSoon(): void {
    if (this.#waitingTick !== null) return;
    this.tick().catch((error: unknown) => {
      this.#options.logger.debug({ err: error }, "reservations will be compared with the samples later");
    });
  }

  async #runGroup(operations: readonly Operation<unknown>[]): Promise<readonly Settled[]> {
    this.#isCommitting = true;
    // What comes from now on may come too late for this group.
    if (operations.includes(TICK)) this.#waitingTick = null;
    try {
      return await this.#planAndCommit(operations);
    } finally {
      this.#isCommitting = false;
    }
  }

  async #planAndCommit(operations: readonly Operation<unknown>[]): Promise<readonly Settled[]> {
    const { fleet, store, storeClock, onConflict } = this.#options;
    const attemptIds = operations.flatMap((operation) => operation.attemptIds);
    await this.#loadUnknown(attemptIds);
    const due = await this.#findDue();
    for (let round = 1; round <= MAX_ROUNDS; round += 1) {
      const draft = new Draft(fleet, storeClock.now());
      const expired = expire(draft, due.attemptIds, due.nowMs);
      const compared = this.#compareSome(draft);
      const results = operations.map((operation) => planOne(draft, operation));
      const commit = draft.commit();
      const askedAtMs = storeClock.asking();
      const outcome = commit === null ? null : await store.commitReservations(commit);
      if (outcome?.kind === "conflict") {
        onConflict?.();
        const known = attemptIds.filter((attemptId) => fleet.reservation(attemptId) !== undefined);
        await this.#reload(outcome.agentIds, outcome.attemptIds);
        // An attempt that another replica has moved is gone from the agent that it was on: where it is now is looked up.
        await this.#loadUnknown(known);
        continue;
      }
      if (commit !== null && outcome !== null) this.#apply(commit, outcome, askedAtMs);
      this.#forget(compared, draft.nowMs);
      const reconciled = compared.flatMap(({ comparison }) => comparison?.changes ?? []);
      this.#options.logger.together(() => this.#tell(expired, reconciled));
      return results;
    }
    throw unavailable(
      "RESERVATIONS_CONTENDED",
      "other registry processes keep changing the same agents; try again",
      200,
    );
  }

  /** The oldest first. What is left is compared in the next group. */
  #compareSome(draft: Draft): readonly Compared[] {
    const compared: Compared[] = [];
    let reported = 0;
    for (const [agentId, report] of this.#unreconciled) {
      if (compared.length >= MAX_REPORTS || reported >= MAX_REPORTED) break;
      const comparison = this.#reconcile(draft, agentId, report);
      reported += comparison?.changes.length ?? 0;
      compared.push({ agentId, report, comparison });
    }
    return compared;
  }

  /** What they say is committed. */
  #forget(compared: readonly Compared[], nowMs: EpochMs): void {
    for (const { agentId, report, comparison } of compared) {
      if (comparison === null) this.#options.onTooManyUnknown?.(agentId, report.epoch);
      else if (comparison.unknown > 0) this.#adoptions.adopted(agentId, comparison.unknown, nowMs);
      // A newer report came during the commit: it is compared in the next group.
      if (this.#unreconciled.get(agentId) !== report) continue;
      this.#unreconciled.delete(agentId);
      if (comparison?.isOutdated === true) this.#outdated.add(agentId);
      else this.#outdated.delete(agentId);
    }
    if (this.#unreconciled.size > 0) this.#tickSoon();
  }

  /** A report that cannot be compared is left out, and said: it must not keep others from being promised room. */
  #reconcile(draft: Draft, agentId: string, report: Report): Comparison | null {
    const goBack = draft.mark();
    try {
      const comparison = reconcile(draft, agentId, report);
      const { unknown } = comparison;
      if (unknown === 0 || this.#adoptions.allows(agentId, unknown, draft.nowMs)) return comparison;
      goBack();
      return null;
    } catch (error) {
      goBack();
      this.#options.logger.error(
        { err: error, agent_id: agentId },
        "an agent's report cannot be compared with its reservations",
      );
      return { changes: [], unknown: 0, isOutdated: false };
    }
  }

  async #findDue(): Promise<{ attemptIds: readonly string[]; nowMs: number }> {
    const { fleet, store, storeClock } = this.#options;
    const nowMs = storeClock.now();
    if (!fleet.hasLeaseDue(nowMs)) return { attemptIds: [], nowMs };
    const found = await store.findDueLeases(MAX_DUE);
    storeClock.observe(found.nowMs);
    return { attemptIds: found.due.map(({ attemptId }) => attemptId), nowMs: found.nowMs };
  }

  /** Attempts that other replicas made. */
  async #loadUnknown(attemptIds: readonly string[]): Promise<void> {
    const unknown = attemptIds.filter((attemptId) => this.#options.fleet.reservation(attemptId) === undefined);
    if (unknown.length > 0) await this.#reload([], unknown);
  }

  async #reload(agentIds: readonly string[], attemptIds: readonly string[]): Promise<void> {
    const { fleet, store, storeClock, takeLoaded } = this.#options;
    const found = attemptIds.length === 0 ? new Map<string, string>() : await store.findReservations(attemptIds);
    const ids = new Set([...agentIds, ...found.values()]);
    // A row that memory knows and the store does not has been purged, or belongs to another agent by now.
    for (const attemptId of attemptIds) {
      const known = fleet.reservation(attemptId);
      if (known !== undefined) ids.add(known.agentId);
    }
    if (ids.size === 0) return;
    const { agents, nowMs } = await store.loadAgents([...ids]);
    storeClock.observe(nowMs);
    takeLoaded(agents);
    for (const { agentId, guardVersion, reservations } of agents) {
      ids.delete(agentId);
      // What the store says of an agent that a commit has just met a conflict on is right even at the same guard.
      const agent = fleet.get(agentId);
      if (agent !== undefined && agent.guardVersion <= guardVersion)
        fleet.put({ ...agent, guardVersion, reservations });
    }
    // Removed by an operator at another replica.
    for (const agentId of ids) fleet.remove(agentId);
  }

  #apply(commit: ReservationCommit, outcome: Extract<CommitResult, { kind: "committed" }>, askedAtMs: number): void {
    const { fleet, storeClock } = this.#options;
    storeClock.observe(outcome.nowMs, askedAtMs);
    const changes = changesByAgent(commit, outcome.reservations);
    for (const { agentId, version } of commit.guards) {
      const agent = fleet.get(agentId);
      // Whoever loaded the agent meanwhile has seen this commit already.
      if (agent === undefined || agent.guardVersion !== version) continue;
      const reservations = agent.reservations.with(changes.get(agentId) ?? new Map(), outcome.nowMs);
      fleet.put({ ...agent, guardVersion: version + 1, reservations });
    }
  }

  #tell(expired: readonly StoredReservation[], reconciled: readonly Reconciled[]): void {
    const { logger, onChange } = this.#options;
    for (const reservation of expired) {
      onChange?.("expired");
      logger.warn(
        idsOf(reservation),
        "the lease of a reservation ran out before its agent reported the attempt: released",
      );
    }
    for (const { change, reservation } of reconciled) {
      onChange?.(change);
      logger.info({ ...idsOf(reservation), change }, `reservation ${change} by its agent's report`);
    }
  }
}

/** What the commit has changed on each agent, with the rows as they were written. */
function changesByAgent(
  { writes }: ReservationCommit,
  written: readonly StoredReservation[],
): ReadonlyMap<string, BookChanges> {
  const byAgent = new Map<string, Map<string, StoredReservation | null>>();
  const change = (agentId: string, attemptId: string, row: StoredReservation | null): void => {
    const known = byAgent.get(agentId);
    if (known === undefined) byAgent.set(agentId, new Map([[attemptId, row]]));
    else known.set(attemptId, row);
  };
  for (const { previousAgentId, reservation } of writes) {
    const { agentId, attemptId } = reservation;
    if (previousAgentId !== null && previousAgentId !== agentId) change(previousAgentId, attemptId, null);
  }
  for (const row of written) change(row.agentId, row.attemptId, row);
  return byAgent;
}

function planOne(draft: Draft, operation: Operation<unknown>): Settled {
  const goBack = draft.mark();
  try {
    return { status: "fulfilled", value: operation.plan(draft) };
  } catch (reason) {
    goBack();
    return { status: "rejected", reason };
  }
}
