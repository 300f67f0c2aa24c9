import type { wire } from "@headroom/contracts";
import type { FencedAttempt } from "../reservations/renew.ts";

/** Ids inside are lower-case, however a caller writes them. */
export function readAttempts(attempts: readonly wire.FencedAttempt[]): readonly FencedAttempt[] {
  return attempts.map(({ attemptId, fence }) => ({ attemptId: attemptId.toLowerCase(), fence }));
}
