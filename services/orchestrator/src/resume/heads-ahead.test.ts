import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import type { QueueHead } from "../store/model.ts";
import { HeadsAhead } from "./heads-ahead.ts";

const head = { shapeKey: "shape" } as QueueHead;

function begin(read: () => Promise<readonly QueueHead[]> = () => Promise.resolve([head])) {
  const ports = manualPorts();
  let reads = 0;
  const queue = {
    read() {
      reads += 1;
      return read();
    },
  };
  return { ports, ahead: new HeadsAhead(queue, ports.clock), reads: () => reads };
}

describe("heads that are read ahead", () => {
  it("are read once for room that several attempts give back, and taken once", async () => {
    const { ahead, reads } = begin();
    ahead.expect();
    ahead.expect();
    expect(await ahead.take()).toEqual([head]);
    expect(reads()).toBe(1);
    expect(await ahead.take()).toEqual([]);
  });

  it("are not used when the room comes late, and are read again for the next", async () => {
    const { ports, ahead, reads } = begin();
    ahead.expect();
    await ports.advance(51);
    expect(await ahead.take()).toEqual([]);
    ahead.expect();
    expect(await ahead.take()).toEqual([head]);
    expect(reads()).toBe(2);
  });

  it("are none when the store is away", async () => {
    const { ahead } = begin(() => Promise.reject(new Error("away")));
    ahead.expect();
    expect(await ahead.take()).toEqual([]);
  });
});
