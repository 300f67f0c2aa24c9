/** Writes states of liveness, many in one statement. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { StatusWrite } from "../registry-store.ts";
import { toJson } from "./to-json.ts";

const statement = defineStatement({
  name: "registry_write_statuses",
  text: `
UPDATE agent_liveness l
   SET status = w.status, status_reason = w.status_reason,
       status_since = to_timestamp(w.status_since_ms / 1000.0),
       attached = w.attached, owner_hold = w.owner_hold, changed_at = now()
  FROM jsonb_to_recordset($1::jsonb) AS w(agent_id uuid, epoch bigint, status text, status_reason text,
                                          status_since_ms bigint, attached boolean, owner_hold boolean)
 WHERE l.agent_id = w.agent_id AND l.epoch = w.epoch`,
});

export async function writeStatuses(db: Queryable, statuses: readonly StatusWrite[]): Promise<void> {
  const rows = statuses.map((write) => ({
    agent_id: write.agentId,
    epoch: write.epoch,
    status: write.status,
    status_reason: write.statusReason,
    status_since_ms: write.statusSinceMs,
    attached: write.attached,
    owner_hold: write.ownerHold,
  }));
  await db.execute(statement, [toJson(rows)]);
}
