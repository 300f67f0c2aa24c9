import { status } from "@grpc/grpc-js";
import type { RpcCode } from "../errors.ts";

/** The number of each canonical code on the wire. */
const numbers: Readonly<Record<RpcCode, number>> = {
  CANCELLED: status.CANCELLED,
  UNKNOWN: status.UNKNOWN,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  ABORTED: status.ABORTED,
  OUT_OF_RANGE: status.OUT_OF_RANGE,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  INTERNAL: status.INTERNAL,
  UNAVAILABLE: status.UNAVAILABLE,
  DATA_LOSS: status.DATA_LOSS,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
};

// Object.keys forgets that the keys of this literal are exactly the codes.
const codes = new Map((Object.keys(numbers) as RpcCode[]).map((code) => [numbers[code], code]));

export function numberOfCode(code: RpcCode): number {
  return numbers[code];
}

/** A number that is no canonical code counts as UNKNOWN. */
export function codeOfNumber(number: number): RpcCode {
  return codes.get(number) ?? "UNKNOWN";
}
