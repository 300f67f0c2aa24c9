import type { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { AckSlot, type AckStream } from "./ack-slot.ts";

/** A stream whose buffer is full after each message, until it is drained. */
class FullStream implements AckStream {
  readonly sent: wire.Ack[] = [];
  #drained = (): void => undefined;

  send({ message }: wire.HeartbeatResponse): boolean {
    if (message?.$case === "ack") this.sent.push(message.value);
    return false;
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  drain(): void {
    this.#drained();
  }
}

describe("AckSlot", () => {
  it("DESIGN-4: holds one ack at most, the newest, however many beats a slow reader sends", () => {
    const stream = new FullStream();
    const slot = new AckSlot(stream);
    for (let seq = 1; seq <= 1_000; seq += 1) slot.acknowledge(seq, 5_000, false, []);
    expect(stream.sent.map(({ seq }) => seq)).toEqual([1]);
    stream.drain();
    stream.drain();
    expect(stream.sent.map(({ seq }) => seq)).toEqual([1, 1_000]);
  });

  it("what an ack asked that was never sent is asked by the one in its place, and not again by those that follow", () => {
    const stream = new FullStream();
    const slot = new AckSlot(stream);
    slot.acknowledge(1, 5_000, false, []);
    slot.acknowledge(2, 5_000, true, ["a"]);
    slot.acknowledge(3, 6_000, false, ["a", "b"]);
    stream.drain();
    expect(stream.sent.at(-1)).toEqual({
      seq: 3,
      nextInterval: { seconds: 6, nanos: 0 },
      wantFull: true,
      evictAttemptIds: ["a", "b"],
    });
    slot.acknowledge(4, 5_000, false, []);
    stream.drain();
    expect(stream.sent.at(-1)).toMatchObject({ seq: 4, wantFull: false });
  });
});
