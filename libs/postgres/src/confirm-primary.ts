import { defineStatement, type Statement } from "./statement.ts";

/**
 * Makes a transaction that only looks end as one that writes does: after the disk and the synchronous standby have it. What follows from
 * such a look was looked up on the primary and stands on what no failover takes back. A former primary that does not know yet that
 * another one has taken over answers plain reads from the past; this it cannot end.
 *
 * Use it where something irrevocable is told on the strength of a read: that a result may be forgotten, that a run is to be ended.
 */
export const confirmPrimarySql = "pg_logical_emit_message(true, 'headroom', '')";

/** The same as a statement of its own, within a transaction. */
export const confirmPrimary: Statement<object> = defineStatement({
  name: "headroom_confirm_primary",
  text: `SELECT ${confirmPrimarySql}`,
});
