import type { ClientReadableStream } from "@grpc/grpc-js";
import type { CallOptions } from "../definition.ts";
import { HeadroomError } from "../errors.ts";
import type { GrpcConnection } from "./channel.ts";
import { cancelledError } from "./client-error.ts";
import { errorOf, nameOf, outgoingMetadata, outgoingOptions, watchAbort, type AnyMethod } from "./outgoing-call.ts";

/** Each loop over the result is a call of its own, begun by the loop and cancelled when it is left. Throws only HeadroomError. */
export function callServerStream(
  channel: GrpcConnection,
  method: AnyMethod,
  request: unknown,
  options: CallOptions = {},
): AsyncIterable<unknown> {
  return { [Symbol.asyncIterator]: () => new StreamReader(channel, method, request, options) };
}

class StreamReader implements AsyncIterator<unknown> {
  readonly #channel: GrpcConnection;
  readonly #method: AnyMethod;
  readonly #stream: ClientReadableStream<unknown> | undefined;
  readonly #messages: AsyncIterator<unknown> | undefined;
  readonly #unwatch: () => void = () => undefined;
  /** Why we ended it; undefined as long as we did not. */
  #ended: HeadroomError | "left" | undefined;

  constructor(channel: GrpcConnection, method: AnyMethod, request: unknown, options: CallOptions) {
    this.#channel = channel;
    this.#method = method;
    const { signal } = options;
    if (signal?.aborted === true) {
      this.#ended = cancelledError(nameOf(method), signal);
      return;
    }
    try {
      this.#stream = channel
        .grpc()
        .makeServerStreamRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          outgoingMetadata(channel, options),
          outgoingOptions(options.deadlineMs),
        );
    } catch (error) {
      this.#ended = errorOf(error, channel, method);
      return;
    }
    // The iterator reports errors; without a listener of its own, one that comes between two reads would end the process.
    this.#stream.on("error", () => undefined);
    this.#messages = this.#stream[Symbol.asyncIterator]();
    this.#unwatch = watchAbort(channel, method, signal, (error) => this.#end(error));
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#messages === undefined || this.#ended !== undefined) return this.#afterEnd();
    try {
      const next = await this.#messages.next();
      if (next.done !== true) return { done: false, value: next.value };
      this.#unwatch();
      return { done: true, value: undefined };
    } catch (error) {
      this.#unwatch();
      if (this.#ended !== undefined) return this.#afterEnd();
      throw errorOf(error, this.#channel, this.#method);
    }
  }

  /** Cancels the call; a `next` that waits ends too. */
  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#end("left");
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Told once; afterwards the stream is merely at its end. */
  #afterEnd(): IteratorResult<unknown, undefined> {
    const ended = this.#ended;
    this.#ended = "left";
    if (ended instanceof HeadroomError) throw ended;
    return { done: true, value: undefined };
  }

  #end(why: HeadroomError | "left"): void {
    this.#ended ??= why;
    this.#unwatch();
    this.#stream?.cancel();
    this.#stream?.destroy();
  }
}
