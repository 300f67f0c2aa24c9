import { errorCode } from "./error-code.ts";

/** No room on the disk, or none within the quota. */
const codes: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
/** Errors wrap errors; deeper than this nobody does. */
const maxCauseDepth = 5;

/** Whether a disk without room is what is behind an error: it goes away without anybody touching the program. */
export function isDiskFull(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > maxCauseDepth) return false;
  return codes.has(errorCode(error)) || isDiskFull(error.cause, depth + 1);
}
