/** No processes, memory or files are left, for this program or for the machine: whatever was tried would have met that. */
export function lacksMeans(error: unknown): boolean {
  return error instanceof Error && codes.has(Reflect.get(error, "code"));
}

const codes: ReadonlySet<unknown> = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"]);
