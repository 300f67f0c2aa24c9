import { failedPrecondition, HeadroomError, TlsFileError } from "@headroom/rpc";
import { errorCode } from "@headroom/runtime";
import { CredentialFileError } from "../enrolment/credential-file.ts";

/** The file is there, and its owner or mode keeps this agent from it. */
const keptAway: ReadonlySet<string> = new Set(["EACCES", "EPERM"]);

/** Why a stream could not be opened. What only a person can put right (a file's mode, a certificate) counts as refused, everything else as passing. */
export function openError(error: unknown): HeadroomError {
  if (error instanceof HeadroomError) return error;
  if (error instanceof CredentialFileError) return failedPrecondition("CREDENTIAL_FILE_UNUSABLE", error.message);
  if (error instanceof TlsFileError) return failedPrecondition("TLS_FILES_UNUSABLE", error.message);
  const message = error instanceof Error ? error.message : String(error);
  if (keptAway.has(errorCode(error))) return failedPrecondition("FILE_NOT_OURS_TO_READ", message);
  return new HeadroomError({ code: "INTERNAL", reason: "STREAM_NOT_OPENED", message, cause: error });
}
