import { status, type ClientDuplexStream, type StatusObject } from "@grpc/grpc-js";
import type { DuplexStream } from "../call.ts";
import type { CallOptions } from "../definition.ts";
import { DuplexCore, type DuplexTransport } from "../duplex/duplex-core.ts";
import { HeadroomError } from "../errors.ts";
import type { GrpcConnection } from "./channel.ts";
import { cancelledError } from "./client-error.ts";
import { errorOf, nameOf, outgoingMetadata, outgoingOptions, watchAbort, type AnyMethod } from "./outgoing-call.ts";

type GrpcStream = ClientDuplexStream<Buffer, Buffer>;

const asIs = (bytes: Buffer): Buffer => bytes;

/** A stream that talks both ways. Never throws: a stream that cannot be opened is closed with the error, after the caller has set its handlers. */
export function callDuplex(
  channel: GrpcConnection,
  method: AnyMethod,
  options: CallOptions = {},
): DuplexStream<unknown, unknown> {
  const { signal } = options;
  let stream: GrpcStream | undefined;
  let unwatch = (): void => undefined;
  const core = new DuplexCore<unknown, unknown>({
    transport: clientTransport(() => stream),
    decode: method.responseDeserialize,
    encode: method.requestSerialize,
    toError: (error) => errorOf(error, channel, method),
    closed: () => unwatch(),
    report: (error) =>
      channel.logger.error({ err: error, rpc_method: nameOf(method) }, "the close handler of a stream failed"),
  });
  if (signal?.aborted === true) {
    core.fail(cancelledError(nameOf(method), signal));
    return core;
  }
  try {
    const metadata = outgoingMetadata(channel, options);
    stream = channel
      .grpc()
      .makeBidiStreamRequest(method.path, asIs, asIs, metadata, outgoingOptions(options.deadlineMs));
  } catch (error) {
    core.fail(errorOf(error, channel, method));
    return core;
  }
  unwatch = watchAbort(channel, method, signal, (error) => core.fail(error));
  connect(stream, core, (error) => errorOf(error, channel, method));
  return core;
}

/** Messages flow from the next tick on, when the caller has set its handlers. */
function connect(
  stream: GrpcStream,
  core: DuplexCore<unknown, unknown>,
  toError: (error: unknown) => HeadroomError,
): void {
  let succeeded = false;
  let ended = false;
  // The status may come while messages still wait to be handled: the stream is over when both have come.
  const closeIfOver = (): void => {
    if (succeeded && ended) core.transportClosed(null);
  };
  stream.on("error", (error) => core.transportClosed(toError(error)));
  stream.on("status", (received: StatusObject) => {
    succeeded = received.code === status.OK;
    closeIfOver();
  });
  stream.on("end", () => {
    ended = true;
    core.peerEnded();
    closeIfOver();
  });
  stream.on("drain", () => core.drained());
  stream.on("data", (bytes: Buffer) => core.received(bytes));
}

function clientTransport(stream: () => GrpcStream | undefined): DuplexTransport {
  return {
    write: (bytes, written) => stream()?.write(bytes, written) ?? false,
    end: () => void stream()?.end(),
    fail: () => stream()?.cancel(),
    pause: () => void stream()?.pause(),
    resume: () => void stream()?.resume(),
  };
}
