/** What was to be read of a process is there no more, or is not this user's to read. No other error says that: a look was not made. */
export function isClosedOrGone(error: unknown): boolean {
  return error instanceof Error && codes.has(Reflect.get(error, "code"));
}

const codes: ReadonlySet<unknown> = new Set(["ENOENT", "ESRCH", "EACCES", "EPERM"]);
