import { classifyError, defineStatement, type Queryable, type Transaction } from "@headroom/postgres";

/**
 * What works on many plans at once waits for a lock this long, and not as long as the session may (10 s): somebody may keep one plan
 * locked (an open psql, a frozen replica), and everything else would wait for it. A plan that is only busy is free after milliseconds.
 */
const briefLockWait = "2s";
/** What has to be answered soon waits for a row no longer than others need it. */
const momentaryLockWait = "250ms";

const waitsFor = (wait: string): string => `(SELECT set_config('lock_timeout', '${wait}', true)) IS NOT NULL`;

/** Part of a statement that is a transaction of its own: true, and from there to its end it waits for locks only briefly. */
export const waitsBriefly = waitsFor(briefLockWait);

/** The same, for a quarter of a second. */
export const waitsAMoment = waitsFor(momentaryLockWait);

const waitBrieflyStatement = defineStatement<{ readonly waits: boolean }>({
  name: "wait_briefly",
  text: `SELECT ${waitsBriefly} AS waits`,
});

/** The same for the rest of a transaction. */
export async function waitBriefly(tx: Transaction): Promise<void> {
  await tx.query(waitBrieflyStatement);
}

const waitAMomentStatement = defineStatement<{ readonly waits: boolean }>({
  name: "wait_a_moment",
  text: `SELECT ${waitsAMoment} AS waits`,
});

/** For a quarter of a second, from here on. */
export async function waitAMoment(tx: Transaction): Promise<void> {
  await tx.query(waitAMomentStatement);
}

// Looking takes the locks for a moment, and waits for none: so it can meet nobody in a deadlock.
const freePlansStatement = defineStatement<{ readonly plan_id: string }>({
  name: "plans_free",
  text: `SELECT plan_id FROM plans WHERE plan_id = ANY($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED`,
});

/** Which of these plans somebody else has locked at this moment. */
export async function plansInUse(db: Queryable, planIds: readonly string[]): Promise<ReadonlySet<string>> {
  const free = await db.query(freePlansStatement, [planIds]);
  const inUse = new Set(planIds);
  for (const { plan_id } of free) inUse.delete(plan_id);
  return inUse;
}

const waitForPlanStatement = defineStatement<{ readonly plan_id: string }>({
  name: "plans_wait_for",
  text: `SELECT plan_id FROM plans WHERE plan_id = $1 AND ${waitsBriefly} FOR NO KEY UPDATE`,
});

/** Whether it cannot be had though it is waited for. */
export async function isPlanKeptLocked(db: Queryable, planId: string): Promise<boolean> {
  try {
    await db.query(waitForPlanStatement, [planId]);
    return false;
  } catch (error) {
    if (classifyError(error).kind !== "conflict") throw error;
    return true;
  }
}

const freeAttemptsStatement = defineStatement<{ readonly attempt_id: string }>({
  name: "attempts_free",
  text: `
    SELECT a.attempt_id
      FROM attempts a
      JOIN tasks t ON t.task_id = a.task_id
      JOIN plans p ON p.plan_id = a.plan_id
     WHERE a.attempt_id = ANY($1::uuid[])
       FOR NO KEY UPDATE OF p SKIP LOCKED
       FOR UPDATE OF a, t SKIP LOCKED`,
});

/** Of these attempts those that somebody else has locked at this moment, or their tasks, or their plans. */
export async function attemptsInUse(db: Queryable, attemptIds: readonly string[]): Promise<ReadonlySet<string>> {
  const free = await freeAttempts(db, attemptIds);
  return new Set(attemptIds.filter((attemptId) => !free.has(attemptId)));
}

/** Of these attempts those that nobody else has locked at this moment, nor their tasks, nor their plans. */
export async function freeAttempts(db: Queryable, attemptIds: readonly string[]): Promise<ReadonlySet<string>> {
  return new Set((await db.query(freeAttemptsStatement, [attemptIds])).map(({ attempt_id }) => attempt_id));
}
