import { amountsFromWire, msFromDuration, type AttemptOutcome, type wire } from "@headroom/contracts";
import type { Amounts } from "@headroom/scheduling";
import type { VisibleCard } from "./runner/runner.ts";
import { vendorOf } from "./sampling/gpu.ts";

/** An assignment as the agent works with it: checked, in integer units. */
export interface AssignedWork {
  readonly attemptId: string;
  readonly fence: number;
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** "" means a fresh folder. */
  readonly workingDir: string;
  /** What is promised to it. */
  readonly reserved: Amounts;
  /** Those of its cards whose index is known. */
  readonly cards: readonly VisibleCard[];
  /** It is open whose cards the indexes name: it would run beside its cards, and is refused. */
  readonly isUnclear: boolean;
  /** null: no limit. */
  readonly runTimeoutMs: number | null;
  readonly workLeaseMs: number;
  /** null: no limit was stated. */
  readonly acceptWithinMs: number | null;
}

/** DESIGN 5: the work lease is 5 minutes unless the task says otherwise. */
const defaultWorkLeaseMs = 300_000;

/** Reads an assignment off the wire. */
export function assignedWork(assignment: wire.Assignment): AssignedWork {
  const { command, cardIndexes } = assignment;
  const reserved = amountsFromWire(assignment.amounts);
  const cards = visibleCards(reserved.cards, cardIndexes);
  return {
    attemptId: assignment.attemptId,
    fence: assignment.fence,
    taskId: assignment.taskId,
    planId: assignment.planId,
    taskName: assignment.taskName,
    argv: command?.argv ?? [],
    env: command?.env ?? {},
    workingDir: command?.workingDir ?? "",
    reserved,
    cards: cards ?? [],
    isUnclear: cards === null,
    runTimeoutMs: msFromDuration(assignment.runTimeout),
    workLeaseMs: msFromDuration(assignment.workLease) ?? defaultWorkLeaseMs,
    acceptWithinMs: msFromDuration(assignment.acceptWithin),
  };
}

/** Indexes stand in the order of the cards. One that is not known is left out: whose the others are is sure then only where all are one vendor's. null: it is not. */
function visibleCards(cards: Amounts["cards"], indexes: readonly number[]): readonly VisibleCard[] | null {
  if (cards.length === indexes.length)
    return indexes.map((index, place) => ({ cardId: cards[place]?.cardId ?? "", index }));
  const [first] = cards;
  if (first === undefined) return [];
  if (cards.some(({ cardId }) => vendorOf(cardId) !== vendorOf(first.cardId))) return null;
  return indexes.map((index) => ({ cardId: first.cardId, index }));
}

/** What an attempt used from start to end. */
export interface TotalUse {
  readonly cpuMs: number;
  readonly memoryPeakMib: number;
  readonly vramPeakMib: number;
}

/** How the program of an attempt ended, which is known before its processes are known to be gone. */
export type Ending = Pick<AttemptResult, "outcome" | "exitCode" | "signal" | "sentence"> & {
  /** null: that cannot be told apart. */
  readonly cpuMs: number | null;
  readonly endedAtMs: number;
};

/** The end of an attempt. */
export interface AttemptResult {
  readonly outcome: AttemptOutcome;
  readonly exitCode: number | null;
  readonly signal: string;
  readonly sentence: string;
  /** null: it never started. */
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number;
  readonly used: TotalUse;
  readonly lastOutputSeq: number;
}
