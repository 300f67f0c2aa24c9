import type { Facts, PauseChange, TaskFact, Violation } from "./facts.ts";

/** Times lose a millisecond on their way out of the database; a transaction's time is that of its beginning. */
const roundedByMs = 50;
/** Whoever is to end it may be away as long as anything may, and its database too. */
const endedWithinMs = 150_000;

interface Wait {
  /** From when it could start; null: it waits for something else than room. */
  sinceMs: number | null;
}

/** V15: what may wait for so long only is given up then: not before, and not long after, where the queue was not held meanwhile. */
export function checkWaitTimeouts({ changes, tasks }: Facts): readonly Violation[] {
  const limited = new Map(tasks.flatMap((task) => (task.waitTimeoutMs === null ? [] : [[task.taskId, task] as const])));
  if (limited.size === 0) return [];
  const waits = new Map<string, Wait>();
  const violations: Violation[] = [];
  let heldUntilMs = -Infinity;
  for (const change of changes) {
    if (change.row === "queue") heldUntilMs = change.held ? Infinity : change.atMs;
    if (change.row !== "pause") continue;
    const task = limited.get(change.taskId);
    if (task === undefined) continue;
    const wait = waits.get(change.pauseQueueId) ?? { sinceMs: null };
    waits.set(change.pauseQueueId, wait);
    violations.push(...judge(change, task, wait, heldUntilMs));
    if (change.blocked) wait.sinceMs = null;
    else wait.sinceMs = Math.max(wait.sinceMs ?? change.atMs, change.resumeAfterMs ?? -Infinity);
  }
  return violations;
}

function judge(
  { status, atMs }: PauseChange,
  { taskId, name, waitTimeoutMs }: TaskFact,
  { sinceMs }: Wait,
  heldUntilMs: number,
): readonly Violation[] {
  const waitedMs = sinceMs === null ? 0 : atMs - sinceMs;
  const mayMs = waitTimeoutMs ?? Infinity;
  const told = (what: string): readonly Violation[] => [
    {
      invariant: "V15",
      what: `task ${name} (${taskId}) ${what} at ${atMs} after ${Math.round(waitedMs)} ms; it may wait for ${mayMs}`,
    },
  ];
  if (status === "failed" && waitedMs < mayMs - roundedByMs) return told("was given up");
  const wasHeld = heldUntilMs >= (sinceMs ?? Infinity);
  if (waitedMs > mayMs + endedWithinMs && !wasHeld) return told("still waited");
  return [];
}
