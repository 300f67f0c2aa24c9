/** What the system calls an error, such as ENOENT; empty: it is none of the system's. */
export function errorCode(error: unknown): string {
  return error instanceof Error ? String(Reflect.get(error, "code") ?? "") : "";
}
