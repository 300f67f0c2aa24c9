import { classifyError, isAboutDatabase } from "@headroom/postgres";
import { type Logger, type ManagedService, Outage, type Ports, RunLoop } from "@headroom/runtime";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { RegistryPort } from "../registry/port.ts";
import type { AttemptKnown } from "../store/model.ts";
import type { DueAttempts, DueLimits, OrchestratorStore } from "../store/port.ts";
import { DependentsLockedError } from "../store/row-locked.ts";
import { decideLost, decideUndelivered } from "../work/decide-result.ts";
import type { Settle } from "../work/settlement.ts";
import { DatabaseClock } from "./database-clock.ts";
import { KeptBackAttempts } from "./kept-back.ts";
import { LockedPlans } from "./locked-plans.ts";

export interface SweepOptions {
  readonly store: Pick<
    OrchestratorStore,
    "findDueAttempts" | "attemptsInUse" | "takeBackUnsent" | "loseAttempt" | "noteReservationsRenewed"
  >;
  readonly registry: Pick<RegistryPort, "renew">;
  readonly settle: Settle;
  readonly avoided: AvoidedAgents;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly errorDelayMs: number;
}

const intervalMs = 1_000;
/** DESIGN 4: an assignment undelivered for so long is taken back. */
const undeliveredAfterMs = 5_000;
/** DESIGN 5: LOST comes no earlier than the lease and this. */
export const lostGraceMs = 30_000;
const renewAheadMs = 20_000;
/** So many attempts of a plan are found kept back in one round; the others of it come in the next. Each has cost a look at all that comes after its task. */
const maxKeptOfPlan = 10;

const limits: Omit<DueLimits, "exceptPlanIds" | "exceptLostIds" | "clockSetAgoMs"> = {
  undeliveredAfterMs,
  lostAfterMs: lostGraceMs,
  renewAheadMs,
  limit: 500,
};

/** One coarse loop for what ends by time: undelivered assignments, lost attempts, reservations that wait for an answer. */
export function createSweep(options: SweepOptions): ManagedService {
  const { logger } = options;
  const outage = new Outage(logger, {
    fails: "the sweep failed: lost and undelivered work is not looked for now; trying again",
    works: "the sweep works again",
  });
  const renewal = new Outage(logger, {
    fails: "reservations of work that its agents have not answered yet cannot be renewed; trying again",
    works: "reservations are renewed again",
  });
  const { clock } = options.ports;
  const databaseClock = new DatabaseClock(clock, logger);
  const locked = new LockedPlans({ store: options.store, clock, logger });
  const kept = new KeptBackAttempts(clock, logger);
  return new RunLoop({
    name: "sweep",
    ports: options.ports,
    intervalMs,
    errorDelayMs: options.errorDelayMs,
    jitterFraction: 0.1,
    async run() {
      const exceptPlanIds = await locked.stillLocked();
      const askedAtMs = clock.monotonic();
      const clockSetAgoMs = databaseClock.setAgoMs();
      const found = await options.store.findDueAttempts({
        ...limits,
        exceptPlanIds,
        exceptLostIds: kept.resting(),
        clockSetAgoMs,
      });
      // What a clock that has just been set says of leases is looked at again.
      const due = databaseClock.heard(found.nowMs, askedAtMs) ? { ...found, lost: [] } : found;
      // First: what is lost is settled one by one, and each may wait for a plan that somebody locks meanwhile, while leases run out.
      await renewUnanswered(options, renewal, due);
      await locked.ask([...due.undelivered, ...due.lost]);
      await takeBackUndelivered(options, locked, due);
      await sweepLost(options, locked, kept, due);
      outage.worked();
    },
    onError: (error) => outage.failed(error),
  });
}

/** Never written to the agent's stream: it certainly does not run, and another agent may have it. */
async function takeBackUndelivered(
  { store, settle, avoided, logger }: SweepOptions,
  locked: LockedPlans,
  { undelivered }: DueAttempts,
): Promise<void> {
  await forEach(undelivered, locked, logger, async (attempt) => {
    const decide = decideUndelivered("its agent was not reached in time");
    const applied = await store.takeBackUnsent(attempt, decide);
    if (applied === null) return;
    avoided.avoid(attempt.agentId, "refused");
    settle(attempt, applied, "not delivered", logger);
  });
}

async function sweepLost(
  { store, settle, ports, logger }: SweepOptions,
  locked: LockedPlans,
  kept: KeptBackAttempts,
  { lost }: DueAttempts,
): Promise<void> {
  const keptOfPlan = new Map<string, number>();
  await forEach(lost, locked, logger, async (attempt) => {
    const keptBefore = keptOfPlan.get(attempt.planId) ?? 0;
    if (keptBefore >= maxKeptOfPlan) return;
    try {
      const applied = await store.loseAttempt(attempt, lostGraceMs, decideLost(ports.random.next()));
      kept.settled(attempt);
      if (applied !== null) settle(attempt, applied, "lost", logger);
    } catch (error) {
      if (!(error instanceof DependentsLockedError)) throw error;
      keptOfPlan.set(attempt.planId, keptBefore + 1);
      kept.note(attempt, error);
    }
  });
}

/**
 * One that cannot be settled must not keep back those behind it, but for the others of a plan that is locked. A database that is away, or has a schema of
 * another version, does.
 */
async function forEach(
  attempts: readonly AttemptKnown[],
  locked: LockedPlans,
  logger: Logger,
  settleOne: (attempt: AttemptKnown) => Promise<void>,
): Promise<void> {
  for (const attempt of attempts) {
    if (locked.has(attempt.planId)) continue;
    try {
      await settleOne(attempt);
    } catch (error) {
      if (isAboutDatabase(error)) throw error;
      const { kind } = classifyError(error);
      if (kind === "conflict" || kind === "timeout") locked.leaveOut(attempt, error);
      else
        logger.error(
          { err: error, attempt_id: attempt.attemptId },
          "an attempt could not be settled; it is tried again",
        );
    }
  }
}

/** Room must not go to somebody else while an agent that was sent an assignment may still accept it. */
async function renewUnanswered(
  { store, registry }: SweepOptions,
  renewal: Outage,
  { unanswered }: DueAttempts,
): Promise<void> {
  if (unanswered.length === 0) return;
  try {
    const results = await registry.renew(unanswered);
    await store.noteReservationsRenewed(
      results.flatMap(({ attemptId, outcome, leaseLeftMs }) =>
        outcome === "renewed" ? [{ attemptId, leaseLeftMs: leaseLeftMs ?? renewAheadMs * 2 }] : [],
      ),
    );
    renewal.worked();
  } catch (error) {
    renewal.failed(error, { attempts: unanswered.length });
  }
}
