import { HeadroomError } from "../errors.ts";

/** Translates an error that is no HeadroomError; null: not known here, so INTERNAL. */
export type MapError = (error: unknown) => HeadroomError | null;

/** The one place where whatever a handler throws becomes an error for the caller. An unknown one says nothing of the inside. */
export function toHeadroomError(error: unknown, requestId: string, mapError?: MapError): HeadroomError {
  if (error instanceof HeadroomError) return error;
  return mapSafely(error, mapError) ?? internalError(error, requestId);
}

/** A fault in the translation must not hide the error itself. */
function mapSafely(error: unknown, mapError: MapError | undefined): HeadroomError | null {
  try {
    return mapError?.(error) ?? null;
  } catch {
    return null;
  }
}

function internalError(cause: unknown, requestId: string): HeadroomError {
  return new HeadroomError({
    code: "INTERNAL",
    reason: "INTERNAL",
    message: `internal error; ask the operator to look for request_id ${requestId} in the log`,
    cause,
  });
}
