import { type Database, defineStatement } from "@headroom/postgres";
import { type Actor, type CallTrace, type NewPark, NO_CALL } from "../model.ts";
import { appendEvents } from "./events.ts";
import { lockPlans } from "./lock-plans.ts";
import { waitBriefly } from "./lock-wait.ts";
import { insertPauses } from "./pause-rows.ts";
import { isUnchecked, leavesNever } from "./standing-reason.ts";

const giveUpClaims = defineStatement<{ readonly task_id: string }>({
  name: "tasks_park",
  text: `
    UPDATE tasks t
       SET state = 'paused', claim_owner = NULL, claim_expires_at = NULL,
           placing_attempt_id = CASE WHEN p.kept THEN t.placing_attempt_id END
      FROM unnest($2::uuid[], $3::bigint[], $4::boolean[]) AS p(task_id, fence, kept)
     WHERE t.task_id = p.task_id AND t.claim_owner = $1 AND t.fence = p.fence AND t.state IN ('pending', 'paused')
 RETURNING t.task_id`,
});

// What the registry says of this very task, with a time of its own, is told in any case.
const staysNever = `(${leavesNever("q.reason", "p.reason")} AND p.resume_after_ms IS NULL)`;

const stillWaiting = defineStatement({
  name: "pause_queue_still_waiting",
  text: `
    UPDATE pause_queue q
       SET last_checked = CASE WHEN ${staysNever} AND ${isUnchecked("p.reason")} THEN q.last_checked ELSE now() END,
           reason = CASE WHEN ${staysNever} THEN q.reason ELSE p.reason END,
           reason_detail = CASE WHEN ${staysNever} THEN q.reason_detail ELSE p.sentence END,
           resume_after = coalesce(now() + p.resume_after_ms * interval '1 millisecond', q.resume_after),
           later = q.later OR p.resume_after_ms IS NOT NULL
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::double precision[]) AS p(task_id, reason, sentence, resume_after_ms)
     WHERE q.task_id = p.task_id AND q.status = 'waiting' AND NOT q.blocked`,
});

/** Claimed tasks that found no room: new ones get their row in the queue, waiting ones keep theirs. What is held by now goes on to say so. */
export function park(
  db: Database,
  parks: readonly NewPark[],
  owner: string,
  actor: Actor,
  call: CallTrace = NO_CALL,
): Promise<number> {
  return db.transaction(async (tx) => {
    await waitBriefly(tx);
    await lockPlans(
      tx,
      parks.map(({ claimed }) => claimed.planId),
    );
    const rows = await tx.query(giveUpClaims, [
      owner,
      parks.map(({ claimed }) => claimed.taskId),
      parks.map(({ claimed }) => claimed.fence),
      parks.map(({ attemptIdKept }) => attemptIdKept),
    ]);
    const ours = new Set(rows.map((row) => row.task_id));
    const parked = parks.filter(({ claimed }) => ours.has(claimed.taskId));
    const fresh = parked.filter(({ claimed }) => claimed.state === "pending");
    const waiting = parked.filter(({ claimed }) => claimed.state === "paused");
    await insertPauses(
      tx,
      fresh.map(({ claimed: { taskId }, reason, sentence, resumeAfterMs = null }) => ({
        taskId,
        reason,
        sentence,
        blocked: false,
        resumeAfterMs,
      })),
    );
    if (waiting.length > 0) {
      await tx.execute(stillWaiting, [
        waiting.map(({ claimed }) => claimed.taskId),
        waiting.map(({ reason }) => reason),
        waiting.map(({ sentence }) => sentence),
        waiting.map(({ resumeAfterMs = null }) => resumeAfterMs),
      ]);
    }
    await appendEvents(
      tx,
      fresh.map(({ claimed, reason, sentence }) => ({
        planId: claimed.planId,
        taskId: claimed.taskId,
        taskName: claimed.taskName,
        kind: "TASK_PAUSED",
        fromState: "pending",
        toState: "paused",
        pauseReason: reason,
        sentence,
        actor,
        call,
      })),
    );
    return parked.length;
  });
}
