import { defineStatement, type Transaction } from "@headroom/postgres";
import type { DecideAttempt, TakenBack } from "../model.ts";
import { lockAttempts } from "./attempt-rows.ts";
import { ReportDraft } from "./report-draft.ts";
import { isUnsent, nothingTold } from "./settle.ts";
import { writeReports } from "./write-reports.ts";

const selectUnsent = defineStatement<{ readonly attempt_id: string }>({
  name: "attempts_unsent_of_plan",
  text: `
    SELECT a.attempt_id
      FROM tasks t JOIN attempts a ON a.attempt_id = t.attempt_id
     WHERE t.plan_id = $1 AND t.state = 'assigned' AND a.state = 'assigned' AND a.sent_at IS NULL
     ORDER BY t.position`,
});

/**
 * What of a plan, which this transaction has locked, was given out and certainly never sent. Whoever is sending one of them at this moment
 * is waited for: it is found to be sent then, and stays.
 */
export async function takeBackUnsentOf(
  tx: Transaction,
  planId: string,
  decide: DecideAttempt,
): Promise<readonly TakenBack[]> {
  const unsent = await tx.query(selectUnsent, [planId]);
  if (unsent.length === 0) return [];
  const ids = unsent.map((row) => row.attempt_id);
  const rows = await lockAttempts(tx, ids);
  const draft = new ReportDraft(rows);
  const taken = rows.flatMap((row): readonly TakenBack[] => {
    const attempt = { attemptId: row.attempt_id, fence: row.fence, agentId: row.agent_id };
    const told = nothingTold("UNDELIVERED");
    const answer = draft.apply({ kind: "ends", attempt, decide, told, actor: "operator", stillSo: isUnsent });
    return answer?.kind === "ends" ? [{ ...attempt, applied: answer.applied }] : [];
  });
  await writeReports(tx, draft);
  return taken;
}
