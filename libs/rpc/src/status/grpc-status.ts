import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { HeadroomError, type RpcCode } from "../errors.ts";
import { clip } from "./clip.ts";
import { codeOfNumber, numberOfCode } from "./status-code.ts";
import { decodeStatusDetails, encodeStatusDetails } from "./status-details.ts";

const detailsKey = "grpc-status-details-bin";

// Percent-encoding may triple it in the header, and it stands there twice.
const maxMessageChars = 1_024;

/** An error as grpc-js sends it: the object is both a status and an `Error`. */
export interface GrpcError extends Error, StatusObject {}

/** What grpc-js needs to answer with this error. The request's id goes along, so that a person can find it in the log. */
export function toGrpcError(error: HeadroomError, requestId: string): GrpcError {
  const details = clip(error.message, maxMessageChars);
  const metadata = new Metadata();
  metadata.set(detailsKey, encodeStatusDetails(error, details, requestId));
  return Object.assign(new Error(details), { code: numberOfCode(error.code), details, metadata });
}

/** A status as grpc-js receives it; a plain part of ServiceError and StatusObject. */
export interface ReceivedStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata?: Metadata | null;
}

/** The error that a peer of Headroom sent; null when the status carries no details of ours. */
export function fromGrpcStatus(received: ReceivedStatus, cause: unknown): HeadroomError | null {
  const [bytes] = received.metadata?.get(detailsKey) ?? [];
  if (bytes === undefined || typeof bytes === "string") return null;
  return decodeStatusDetails(bytes, codeOfNumber(received.code), received.details, cause);
}

export function codeOf(received: ReceivedStatus): RpcCode {
  return codeOfNumber(received.code);
}
