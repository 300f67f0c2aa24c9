import type { Clock, Logger } from "@headroom/runtime";
import type { AttemptKnown } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";

export interface LockedPlansOptions {
  readonly store: Pick<OrchestratorStore, "attemptsInUse">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly logger: Logger;
}

/** A plan that is only busy is free at one of so many looks, a second apart; it is nothing to tell of. */
const toldAfterMs = 10_000;
/** So long after a lock has ended its plan is left out still: what an agent has said of it tries again after 8 s at most, and goes first. */
const restsMs = 10_000;
/** At so many looks a plan was found locked that rests; what is only busy is found free before. */
const restsAfterLooks = 2;
const whatWaits = "its attempts that are lost or were not delivered wait until it is free";

interface LockedPlan {
  /** Those that were found locked; the others of the plan wait with them. */
  readonly attemptIds: ReadonlySet<string>;
  readonly sinceMs: number;
  readonly looks: number;
  /** Null: it was not found free yet. What is found of it later is its agents at work, and no new lock. */
  readonly freeSinceMs: number | null;
  readonly isTold: boolean;
}

type Attempt = Pick<AttemptKnown, "attemptId" | "planId">;

/**
 * Plans of which something is locked by somebody (an open psql, a frozen replica): each of their attempts would be waited for, one after the
 * other, twelve seconds long. So it is asked who is locked, which waits for nobody, and their plans are left out.
 */
export class LockedPlans {
  readonly #options: LockedPlansOptions;
  readonly #locked = new Map<string, LockedPlan>();
  /** Found free a moment ago: a busy plan is not asked about twice, to be found locked by the second question. */
  #freed: ReadonlySet<string> = new Set();

  constructor(options: LockedPlansOptions) {
    this.#options = options;
  }

  has(planId: string): boolean {
    return this.#locked.has(planId);
  }

  /** Looks again at those that were left out: answers which are to be left out still, or still for a moment. */
  async stillLocked(): Promise<readonly string[]> {
    const before = [...this.#locked];
    const looked = before.filter(([, { freeSinceMs }]) => freeSinceMs === null);
    const inUse = await this.#inUse(looked.flatMap(([, { attemptIds }]) => [...attemptIds]));
    for (const [planId, plan] of before) {
      const attemptIds = new Set([...plan.attemptIds].filter((attemptId) => inUse.has(attemptId)));
      if (attemptIds.size === 0) this.#free(planId, plan);
      else {
        const isTold = plan.isTold || this.#tellIfLong(planId, plan);
        this.#locked.set(planId, { ...plan, attemptIds, looks: plan.looks + 1, isTold });
      }
    }
    this.#freed = new Set(before.flatMap(([planId]) => (this.has(planId) ? [] : planId)));
    return [...this.#locked.keys()];
  }

  /** Leaves out the plans of those that somebody has locked at this moment. */
  async ask(attempts: readonly Attempt[]): Promise<void> {
    const unknown = attempts.filter(({ planId }) => !this.has(planId) && !this.#freed.has(planId));
    const inUse = await this.#inUse(unknown.map(({ attemptId }) => attemptId));
    for (const attempt of unknown) if (inUse.has(attempt.attemptId)) this.#add(attempt, 1);
  }

  /** It was waited for in vain. */
  leaveOut(attempt: Attempt, error: unknown): void {
    this.#add(attempt, restsAfterLooks);
    this.#warn(attempt.planId, error);
  }

  async #inUse(attemptIds: readonly string[]): Promise<ReadonlySet<string>> {
    return attemptIds.length === 0 ? new Set() : this.#options.store.attemptsInUse(attemptIds);
  }

  #add({ attemptId, planId }: Attempt, looks: number): void {
    const plan = this.#locked.get(planId);
    this.#locked.set(planId, {
      attemptIds: new Set([...(plan?.attemptIds ?? []), attemptId]),
      sinceMs: plan?.sinceMs ?? this.#options.clock.monotonic(),
      looks,
      freeSinceMs: null,
      isTold: looks >= restsAfterLooks,
    });
  }

  /** A plan that was only busy at once. */
  #free(planId: string, plan: LockedPlan): void {
    const nowMs = this.#options.clock.monotonic();
    const freeSinceMs = plan.freeSinceMs ?? nowMs;
    if (plan.looks >= restsAfterLooks && nowMs - freeSinceMs < restsMs) {
      this.#locked.set(planId, { ...plan, freeSinceMs });
      return;
    }
    this.#locked.delete(planId);
    if (plan.isTold)
      this.#options.logger.info({ plan_id: planId }, "a plan that was locked is free: its attempts are settled");
  }

  #tellIfLong(planId: string, { sinceMs }: LockedPlan): boolean {
    const isLong = this.#options.clock.monotonic() - sinceMs >= toldAfterMs;
    if (isLong) this.#warn(planId);
    return isLong;
  }

  #warn(planId: string, error?: unknown): void {
    const fields = { plan_id: planId, ...(error !== undefined && { err: error }) };
    this.#options.logger.warn(fields, `somebody keeps a plan locked, or tasks of it: ${whatWaits}`);
  }
}
