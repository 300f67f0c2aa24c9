import { classifyError, type DatabaseErrorKind } from "@headroom/postgres";
import { type Ports, sleep } from "@headroom/runtime";
import type { Patience } from "../store/model.ts";
import type { Session } from "./session.ts";

/** A row that is only busy, with output or a renewal, is free after milliseconds. */
const firstPauseMs = 10;
const longestPauseMs = 8_000;
/** What is only busy is written before, and nothing to tell of. */
const toldAfterMs = 10_000;
/** A statement that takes longer than it may (30 s) waits for nobody's lock: a database so slow, or the statement, may stay so. */
const maxTimeouts = 3;

/** Somebody else is in the way, of this and perhaps of nothing else: the database itself works. */
const inTheWay: ReadonlySet<DatabaseErrorKind> = new Set(["conflict", "serialization", "timeout"]);

/**
 * What an agent says of one attempt is written as soon as nobody keeps its rows locked any more, however long that takes: it says the
 * next on the same stream, and so do its other attempts. Any other failure is passed on, and so is this one once the stream has ended.
 */
export async function untilWritten<Result>(
  { clock, timers }: Pick<Ports, "clock" | "timers">,
  session: Pick<Session, "patience" | "waitsForLock" | "waitsNoMore">,
  attemptId: string,
  write: (patience: Patience) => Promise<Result>,
): Promise<Result> {
  const patience = session.patience(attemptId);
  const sinceMs = clock.monotonic();
  let timeouts = 0;
  let isTold = false;
  try {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, 2 * pauseMs)) {
      try {
        return await write(patience);
      } catch (error) {
        const { kind } = classifyError(error);
        if (patience.signal.aborted || !inTheWay.has(kind)) throw error;
        if (kind === "timeout") timeouts += 1;
        if (timeouts >= maxTimeouts) throw error;
        if (kind !== "timeout" && !isTold && clock.monotonic() - sinceMs >= toldAfterMs) {
          isTold = true;
          session.waitsForLock(attemptId, error);
        }
      }
      patience.onLocked();
      await sleep(timers, pauseMs, patience.signal);
    }
  } finally {
    if (isTold) session.waitsNoMore();
  }
}
