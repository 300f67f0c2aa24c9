import { classifyError, type DatabaseErrorKind } from "@headroom/postgres";
import { sleep, type Timers } from "@headroom/runtime";
import type { Patience } from "../store/model.ts";
import type { Session } from "./session.ts";

const firstPauseMs = 500;
const longestPauseMs = 8_000;

/** Somebody else is in the way, of this and perhaps of nothing else: the database itself works. */
const inTheWay: ReadonlySet<DatabaseErrorKind> = new Set(["conflict", "serialization", "timeout"]);

/**
 * What an agent says of one attempt is written as soon as nobody keeps its rows locked any more, however long that takes: it says the
 * next on the same stream, and so do its other attempts. Any other failure is passed on, and so is this one once the stream has ended.
 */
export async function untilWritten<Result>(
  timers: Timers,
  session: Pick<Session, "patience" | "waitsForLock" | "waitsNoMore">,
  attemptId: string,
  write: (patience: Patience) => Promise<Result>,
): Promise<Result> {
  const patience = session.patience(attemptId);
  let tries = 0;
  try {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, 2 * pauseMs)) {
      try {
        return await write(patience);
      } catch (error) {
        if (patience.signal.aborted || !inTheWay.has(classifyError(error).kind)) throw error;
        tries += 1;
        if (tries === 1) session.waitsForLock(attemptId, error);
      }
      patience.onLocked();
      await sleep(timers, pauseMs, patience.signal);
    }
  } finally {
    if (tries > 0) session.waitsNoMore();
  }
}
