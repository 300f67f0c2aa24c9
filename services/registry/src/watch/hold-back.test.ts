import { type ManualPorts, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { holdBack } from "./hold-back.ts";

const coalesceMs = 20;

/** Holds back from now on; says when it ended, in ms from the beginning of time. */
function begin(ports: ManualPorts, roomToldAtMs: number, signal = new AbortController().signal) {
  let tell: () => void = () => undefined;
  const room = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const ended = holdBack({ room: () => room }, { ...ports, coalesceMs }, roomToldAtMs, signal).then(() =>
    ports.clock.monotonic(),
  );
  return { tell, ended };
}

describe("DESIGN 5: what a watcher of capacity waits for", () => {
  it("room is told the moment it appears", async () => {
    const ports = manualPorts();
    const startMs = ports.clock.monotonic();
    const { tell, ended } = begin(ports, Number.NEGATIVE_INFINITY);
    await ports.advance(3);
    tell();
    expect((await ended) - startMs).toBe(3);
    expect(ports.timers.pendingDelays()).toEqual([]);
  });

  it("what is no room waits for company, as long as was asked for", async () => {
    const ports = manualPorts();
    const startMs = ports.clock.monotonic();
    const { ended } = begin(ports, Number.NEGATIVE_INFINITY);
    await ports.advance(coalesceMs);
    expect((await ended) - startMs).toBe(coalesceMs);
  });

  it("room that follows room waits until the time between two has passed", async () => {
    const ports = manualPorts();
    const startMs = ports.clock.monotonic();
    const { tell, ended } = begin(ports, startMs - 2);
    tell();
    await ports.advance(3);
    expect((await ended) - startMs).toBe(3);
  });

  it("ends with the reader", async () => {
    const ports = manualPorts();
    const reader = new AbortController();
    const { ended } = begin(ports, Number.NEGATIVE_INFINITY, reader.signal);
    reader.abort(new Error("gone"));
    await expect(ended).rejects.toThrow("gone");
    expect(ports.timers.pendingDelays()).toEqual([]);
  });
});
