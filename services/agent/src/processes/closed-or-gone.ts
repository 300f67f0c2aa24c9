import { errorCode } from "@headroom/runtime";
/** What was to be read of a process is there no more, or is not this user's to read. No other error says that: a look was not made. */
export function isClosedOrGone(error: unknown): boolean {
  return codes.has(errorCode(error));
}

const codes: ReadonlySet<string> = new Set(["ENOENT", "ESRCH", "EACCES", "EPERM"]);
