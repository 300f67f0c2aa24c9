import { createHash } from "node:crypto";
import { wire } from "@headroom/contracts";

/** A plan on the wire: the same bytes for plans that say the same, whatever the order of the entries in their maps. */
export function planBytes(plan: wire.WorkPlan): Uint8Array {
  const tasks = plan.tasks.map((task): wire.TaskSpec => {
    const { command, needs } = task;
    if (!isOutOfOrder(command?.env) && !isOutOfOrder(needs?.labels)) return task;
    return {
      ...task,
      command: command && { ...command, env: inOrder(command.env) },
      needs: needs && { ...needs, labels: inOrder(needs.labels) },
    };
  });
  return wire.WorkPlan.encode({ ...plan, labels: inOrder(plan.labels), tasks }).finish();
}

/** What tells whether a request_id is used again for the same plan. */
export function hashPlan(plan: wire.WorkPlan, bytes: Uint8Array = planBytes(plan)): string {
  return createHash("sha256").update(bytes).digest("hex");
}

type Entries = Readonly<Record<string, string>>;

function isOutOfOrder(map: Entries | undefined): boolean {
  if (map === undefined) return false;
  const keys = Object.keys(map);
  return keys.some((key, index) => index > 0 && key < (keys[index - 1] ?? ""));
}

function inOrder(map: Entries): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Names of fields and punctuation of one task as JSON, all of them given. */
const namesOfTask = 1_024;
/** A control character is one byte on the wire and six in JSON; nothing else grows more. */
const growsAtMost = 6;

/** How long the plan is as JSON, in bytes; above `limit` exactly, else at most. */
export function jsonBytes(plan: wire.WorkPlan, wireBytes: number, limit: number): number {
  const atMost = growsAtMost * wireBytes + namesOfTask * (plan.tasks.length + 1);
  return atMost <= limit ? atMost : Buffer.byteLength(JSON.stringify(plan));
}
