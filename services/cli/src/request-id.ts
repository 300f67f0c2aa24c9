import type { ClientErrorKind, Result } from "@headroom/client";
import type { FieldViolation } from "@headroom/rpc";
import { cliErrorOf } from "./errors/cli-error.ts";

/** Whether the service did what it was asked is not known: the answer was lost, came too late, or was not waited for. */
const unknownOutcomes: ReadonlySet<ClientErrorKind> = new Set<ClientErrorKind>([
  "timeout",
  "unavailable",
  "cancelled",
  "internal",
]);

/** A call that may be made again with the same id. */
export interface RepeatableCall {
  readonly requestId: string;
  /** What the service does once for each id: "the plan is accepted once". */
  readonly once: string;
  readonly describeField?: (violation: FieldViolation) => string;
}

/**
 * The value of a call with a request id. Where its outcome is not known the error tells the id: without it, asking again would be
 * asking for it twice.
 */
export function needOnce<T>(result: Result<T>, { requestId, once, describeField }: RepeatableCall): T {
  if (result.kind === "ok") return result.value;
  const wayOut = unknownOutcomes.has(result.error.kind)
    ? `run it again with --request-id ${requestId}: ${once}, even if this time it came through`
    : null;
  throw cliErrorOf(result.error, describeField, wayOut);
}
