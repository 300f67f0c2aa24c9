/** At most one answer is pending on a stream: while its buffer is full, a newer Ack takes the place of the older. */
import { durationFromMs, wire } from "@headroom/contracts";
import type { DuplexStream } from "@headroom/rpc";

export type AckStream = Pick<DuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse>, "send" | "onDrain">;

export class AckSlot {
  readonly #stream: AckStream;
  #isFull = false;
  #pending: wire.Ack | null = null;

  constructor(stream: AckStream) {
    this.#stream = stream;
    stream.onDrain(() => {
      this.#isFull = false;
      const pending = this.#pending;
      this.#pending = null;
      if (pending !== null) this.#send(pending);
    });
  }

  acknowledge(seq: number, nextIntervalMs: number, wantFull: boolean, evictAttemptIds: string[]): void {
    const ack: wire.Ack = { seq, nextInterval: durationFromMs(nextIntervalMs), wantFull, evictAttemptIds };
    if (!this.#isFull) this.#send(ack);
    // What was asked with the older one has not been heard.
    else this.#pending = { ...ack, wantFull: wantFull || this.#pending?.wantFull === true };
  }

  #send(ack: wire.Ack): void {
    this.#isFull = !this.#stream.send({ message: { $case: "ack", value: ack } });
  }
}
