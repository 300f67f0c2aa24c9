import type { CallOptions } from "../definition.ts";
import type { GrpcConnection } from "./channel.ts";
import { cancelledError } from "./client-error.ts";
import { errorOf, nameOf, outgoingMetadata, outgoingOptions, watchAbort, type AnyMethod } from "./outgoing-call.ts";

const defaultDeadlineMs = 10_000;

/** One question, one answer. Rejects only with HeadroomError. */
export function callUnary(
  channel: GrpcConnection,
  method: AnyMethod,
  request: unknown,
  options: CallOptions = {},
): Promise<unknown> {
  const { signal, deadlineMs = defaultDeadlineMs } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(cancelledError(nameOf(method), signal));
    const call = channel
      .grpc()
      .makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        outgoingMetadata(channel, options),
        outgoingOptions(deadlineMs),
        (error, answer) => {
          unwatch();
          if (error === null) resolve(answer);
          else reject(errorOf(error, channel, method));
        },
      );
    const unwatch = watchAbort(channel, method, signal, (error) => {
      reject(error);
      call.cancel();
    });
  });
}
