/** What the system calls an error, such as ENOENT, or the database, such as 42501; of a program that was run, its exit code. Empty: it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error ? String(Reflect.get(error, "code") ?? "") : "";
}
