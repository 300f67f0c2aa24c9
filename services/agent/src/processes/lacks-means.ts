import { errorCode } from "@headroom/runtime";

/** No processes, memory or files are left, for this program or for the machine: whatever was tried would have met that. */
export function lacksMeans(error: unknown): boolean {
  return codes.has(errorCode(error));
}

const codes: ReadonlySet<string> = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"]);
