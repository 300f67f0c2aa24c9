import type { Random } from "@headroom/runtime";

// What may stand in a log line and a header without quoting; longer ids would only fill the logs.
const acceptable = /^[A-Za-z0-9._:/+=@-]{1,128}$/;

/** The caller's `x-request-id` if it is one that logs can carry (1 to 128 letters, digits and `._:/+=@-`), else a new one. */
export function chooseRequestId(given: string | undefined, random: Random): string {
  return given !== undefined && acceptable.test(given) ? given : random.uuid();
}
