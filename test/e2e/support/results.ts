import type { ClientError, Result } from "@headroom/client";

/** The value of a call that has to succeed. */
export function must<T>(result: Result<T>): T {
  if (result.kind === "ok") return result.value;
  const { code, reason, message } = result.error;
  throw new Error(`${code} ${reason}: ${message}`);
}

/** The error of a call that has to fail. */
export function mustFail<T>(result: Result<T>): ClientError {
  if (result.kind === "error") return result.error;
  throw new Error(`expected an error, got ${JSON.stringify(result.value)}`);
}
