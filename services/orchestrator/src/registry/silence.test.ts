import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { SilenceWatch } from "./silence.ts";

const everyMs = 2_000;

function begin() {
  const ports = manualPorts();
  const outer = new AbortController();
  return { ports, outer, silence: new SilenceWatch(ports.timers, everyMs, outer.signal) };
}

describe("a watch that listens for signs of life", () => {
  it("ends when none has come for three times as long as was asked for", async () => {
    const { ports, silence } = begin();
    silence.heard(true);
    await ports.advance(everyMs);
    await ports.advance(3 * everyMs - 1);
    expect(silence.signal.aborted).toBe(false);
    await ports.advance(1);
    expect(silence).toMatchObject({ isSilent: true });
    expect(silence.signal.aborted).toBe(true);
  });

  it("goes on as long as anything comes, be it a sign of life or news", async () => {
    const { ports, silence } = begin();
    silence.heard(true);
    for (let round = 0; round < 20; round += 1) {
      await ports.advance(2.5 * everyMs);
      silence.heard(false);
    }
    expect(silence.signal.aborted).toBe(false);
  });

  it("expects nothing of a service that has never given one: it may be of an older version", async () => {
    const { ports, silence } = begin();
    silence.heard(false);
    await ports.advance(1_000 * everyMs);
    expect(silence.signal.aborted).toBe(false);
    expect(ports.timers.pendingDelays()).toEqual([]);
  });

  it("ends with whom it was begun for, which is no silence, and leaves no timer behind", () => {
    const { ports, outer, silence } = begin();
    silence.heard(true);
    outer.abort(new Error("the reader leaves"));
    expect(silence).toMatchObject({ isSilent: false });
    expect(silence.signal.aborted).toBe(true);
    silence.end();
    expect(ports.timers.pendingDelays()).toEqual([]);
  });
});
