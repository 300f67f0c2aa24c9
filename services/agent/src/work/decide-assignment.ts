/** What the agent knows of an attempt when an assignment of it comes. */
export interface KnownAttempt {
  readonly fence: number;
  readonly isFinished: boolean;
}

/** Why an attempt is not taken; the words of AssignmentAnswer.reason. */
export type RefusalReason =
  | "TOO_LATE"
  | "STALE_FENCE"
  | "OWNER_HOLD"
  | "STOPPING"
  | "ALREADY_FINISHED"
  | "TOO_MANY_ATTEMPTS"
  | "NO_ROOM"
  | "CANNOT_START"
  | "JOURNAL_FAILED";

export interface AssignmentContext {
  readonly stopping: boolean;
  readonly ownerHold: boolean;
  readonly isFull: boolean;
  /** With what runs it would be more than the machine has. */
  readonly isOverfull: boolean;
  /** The machine could start nothing a moment ago. */
  readonly isUnfit: boolean;
  /** It was read later than its `accept_within` allows. */
  readonly isLate: boolean;
  /** Its result was acknowledged: it ran, and the orchestrator knows how. */
  readonly wasAcked: boolean;
  /** This attempt was refused before, under this fence. */
  readonly refused: { readonly fence: number; readonly reason: RefusalReason } | null;
}

export type AssignmentDecision =
  /** New: write it down, answer, run it. */
  | { readonly kind: "run" }
  /** Known under a lower fence: write the higher one down, answer; what runs goes on, what has ended is told again. */
  | { readonly kind: "adopt" }
  /** Known under this very fence: the same attempt twice is one run. */
  | { readonly kind: "answer_again" }
  | { readonly kind: "refuse"; readonly reason: RefusalReason };

/**
 * Decides what to do with an assignment. What is known is never refused for being late or unwelcome: it runs or has run, and
 * "not accepted" would say that it does not.
 */
export function decideAssignment(
  fence: number,
  known: KnownAttempt | null,
  context: AssignmentContext,
): AssignmentDecision {
  if (known !== null) {
    if (fence < known.fence) return refuse("STALE_FENCE");
    return { kind: fence > known.fence ? "adopt" : "answer_again" };
  }
  if (context.wasAcked) return refuse("ALREADY_FINISHED");
  // A refusal is a promise not to run it: a copy of the same assignment must not be taken after all.
  if (context.refused !== null && fence <= context.refused.fence) return refuse(context.refused.reason);
  if (context.stopping) return refuse("STOPPING");
  if (context.ownerHold) return refuse("OWNER_HOLD");
  if (context.isLate) return refuse("TOO_LATE");
  if (context.isFull) return refuse("TOO_MANY_ATTEMPTS");
  if (context.isOverfull) return refuse("NO_ROOM");
  if (context.isUnfit) return refuse("CANNOT_START");
  return { kind: "run" };
}

function refuse(reason: RefusalReason): AssignmentDecision {
  return { kind: "refuse", reason };
}
