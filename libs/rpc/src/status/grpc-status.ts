import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { HeadroomError, type RpcCode } from "../errors.ts";
import { clip, clipEncoded } from "./clip.ts";
import { codeOfNumber, numberOfCode } from "./status-code.ts";
import { decodeStatusDetails, encodeStatusDetails } from "./status-details.ts";

const detailsKey = "grpc-status-details-bin";

// It stands in the headers twice, once with percent signs: three for a blank, nine for a Chinese character.
const maxMessageChars = 1_024;
const maxMessageBytes = 1_536;
/** Of the 8 KiB that peers take of headers; the rest is for the others. */
const maxHeaderBytes = 6 * 1_024;

/** An error as grpc-js sends it: the object is both a status and an `Error`. */
export interface GrpcError extends Error, StatusObject {}

/** What grpc-js needs to answer with this error. The request's id goes along, so that a person can find it in the log. */
export function toGrpcError(error: HeadroomError, requestId: string): GrpcError {
  const details = clipEncoded(clip(error.message, maxMessageChars), maxMessageBytes);
  const metadata = new Metadata();
  // Base64 makes four bytes of three.
  const maxDetailsBytes = Math.floor((maxHeaderBytes - encodeURI(details).length) / 4) * 3;
  metadata.set(detailsKey, encodeStatusDetails(error, details, { requestId, maxBytes: maxDetailsBytes }));
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
