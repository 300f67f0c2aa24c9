import type { DuplexStream, HeadroomError } from "@headroom/rpc";

/** The agent's side of a stream whose other side is the test. */
export interface FakeStream<In, Out> extends DuplexStream<In, Out> {
  readonly sent: Out[];
  /** The service says something. */
  say(message: In): void;
  /** The stream is over. */
  close(error?: HeadroomError | null): void;
  drain(): void;
  isFull: boolean;
  ended: boolean;
}

export function fakeStream<In, Out>(): FakeStream<In, Out> {
  let onMessage: (message: In) => void | Promise<void> = () => undefined;
  let onClose: (error: HeadroomError | null) => void = () => undefined;
  let onDrain: () => void = () => undefined;
  let closed = false;
  const stream: FakeStream<In, Out> = {
    sent: [],
    isFull: false,
    ended: false,
    onMessage: (handler) => (onMessage = handler),
    onPeerEnd: () => undefined,
    onClose: (handler) => (onClose = handler),
    onDrain: (handler) => (onDrain = handler),
    send(message) {
      if (closed || stream.ended) return false;
      stream.sent.push(message);
      return !stream.isFull;
    },
    end() {
      stream.ended = true;
    },
    fail: (error) => stream.close(error),
    say: (message) => void onMessage(message),
    drain: () => onDrain(),
    close(error = null) {
      if (closed) return;
      closed = true;
      onClose(error);
    },
  };
  return stream;
}
