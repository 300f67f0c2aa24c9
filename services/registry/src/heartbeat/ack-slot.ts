/** At most one answer is pending on a stream: while its buffer is full, a newer Ack takes the place of the older. */
import { durationFromMs, wire } from "@headroom/contracts";
import type { DuplexStream } from "@headroom/rpc";

export class AckSlot {
  readonly #stream: DuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse>;
  #isFull = false;
  #pending: wire.Ack | null = null;

  constructor(stream: DuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse>) {
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
    if (this.#isFull) this.#pending = ack;
    else this.#send(ack);
  }

  #send(ack: wire.Ack): void {
    this.#isFull = !this.#stream.send({ message: { $case: "ack", value: ack } });
  }
}
