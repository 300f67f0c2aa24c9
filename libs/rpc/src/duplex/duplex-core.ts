import type { DuplexStream } from "../call.ts";
import { HeadroomError } from "../errors.ts";
import { callGuarded } from "./call-guarded.ts";

/** What carries the bytes of a duplex stream. */
export interface DuplexTransport {
  /** Queues bytes; false when its buffer is full. `written` is called when they have left the queue. */
  write(bytes: Buffer, written: () => void): boolean;
  /** Ends our side after what was queued. */
  end(): void;
  /** Server: ends the stream with this error. Client: cancels it. */
  fail(error: HeadroomError): void;
  /** No more messages until `resume`. */
  pause(): void;
  resume(): void;
}

export interface DuplexCoreOptions<In, Out> {
  readonly transport: DuplexTransport;
  /** Decodes (and validates) one message; what it throws fails the stream. */
  readonly decode: (bytes: Buffer) => In;
  readonly encode: (message: Out) => Buffer;
  /** Translates what handlers throw. */
  readonly toError: (error: unknown) => HeadroomError;
  /** The stream is over; called once, after the last handler. */
  readonly closed: (error: HeadroomError | null) => void;
  /** A close handler threw: nobody is left to tell, so it is logged. */
  readonly report: (error: unknown) => void;
}

// A reader that takes nothing while so much waits for it will not catch up; without a bound it would cost the process its memory.
const maxQueuedBytes = 8 * 1_048_576;
const maxQueuedMessages = 10_000;

/**
 * A DuplexStream over any transport. Messages are handled one after the other: while a handler's promise is pending, no more is read, so that
 * a flood waits at the sender. Whatever a handler throws, or rejects with, fails the stream.
 */
export class DuplexCore<In, Out> implements DuplexStream<In, Out> {
  readonly #options: DuplexCoreOptions<In, Out>;
  #messageHandler: ((message: In) => void | Promise<void>) | undefined;
  #peerEndHandler: (() => void) | undefined;
  #closeHandler: ((error: HeadroomError | null) => void) | undefined;
  #drainHandler: (() => void) | undefined;
  #isClosed = false;
  #isEnded = false;
  #isHandling = false;
  #peerEndIsDue = false;
  #queuedBytes = 0;
  #queuedMessages = 0;

  constructor(options: DuplexCoreOptions<In, Out>) {
    this.#options = options;
  }

  onMessage(handler: (message: In) => void | Promise<void>): void {
    this.#messageHandler = handler;
  }

  onPeerEnd(handler: () => void): void {
    this.#peerEndHandler = handler;
  }

  onClose(handler: (error: HeadroomError | null) => void): void {
    this.#closeHandler = handler;
  }

  onDrain(handler: () => void): void {
    this.#drainHandler = handler;
  }

  send(message: Out): boolean {
    if (this.#isClosed || this.#isEnded) return false;
    let bytes: Buffer;
    try {
      bytes = this.#options.encode(message);
    } catch (error) {
      this.fail(this.#options.toError(error));
      return false;
    }
    if (
      this.#queuedMessages > 0 &&
      (this.#queuedBytes + bytes.length > maxQueuedBytes || this.#queuedMessages >= maxQueuedMessages)
    ) {
      this.fail(slowReaderError(this.#queuedMessages, this.#queuedBytes));
      return false;
    }
    this.#queuedBytes += bytes.length;
    this.#queuedMessages += 1;
    return this.#options.transport.write(bytes, () => {
      this.#queuedBytes -= bytes.length;
      this.#queuedMessages -= 1;
    });
  }

  end(): void {
    if (this.#isClosed || this.#isEnded) return;
    this.#isEnded = true;
    this.#options.transport.end();
  }

  fail(error: HeadroomError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.transport.fail(error);
    // Not at once: whoever calls fail from within a handler expects that handler to end first.
    queueMicrotask(() => this.#finish(error));
  }

  /** The transport has a message. */
  received(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#guard(() => {
      const message = this.#options.decode(bytes);
      if (this.#messageHandler === undefined) throw new TypeError("no handler was set for the messages of a stream");
      const handled = this.#messageHandler(message);
      if (handled instanceof Promise) this.#holdUntil(handled);
    });
  }

  /** The peer sends no more. */
  peerEnded(): void {
    if (this.#isHandling) {
      this.#peerEndIsDue = true;
      return;
    }
    if (!this.#isClosed) this.#guard(() => this.#peerEndHandler?.());
  }

  /** The transport takes more. */
  drained(): void {
    if (!this.#isClosed && !this.#isEnded) this.#guard(() => this.#drainHandler?.());
  }

  /** The transport is gone; null after a clean end. */
  transportClosed(error: HeadroomError | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#finish(error);
  }

  #holdUntil(handled: Promise<void>): void {
    const { transport, toError } = this.#options;
    this.#isHandling = true;
    transport.pause();
    handled.then(
      () => {
        this.#isHandling = false;
        if (this.#isClosed) return;
        if (this.#peerEndIsDue) this.peerEnded();
        else transport.resume();
      },
      (error: unknown) => this.fail(toError(error)),
    );
  }

  #guard(call: () => unknown): void {
    callGuarded(call, (error) => this.fail(this.#options.toError(error)));
  }

  #finish(error: HeadroomError | null): void {
    callGuarded(() => this.#closeHandler?.(error), this.#options.report);
    this.#options.closed(error);
  }
}

function slowReaderError(messages: number, bytes: number): HeadroomError {
  return new HeadroomError({
    code: "RESOURCE_EXHAUSTED",
    reason: "SLOW_READER",
    message: `the reader of this stream is too slow: ${messages} messages (${bytes} bytes) wait for it; read faster, and connect again`,
    retryAfterMs: 1_000,
  });
}
