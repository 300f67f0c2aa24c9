import { captureLogger, manualPorts } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import { type BeatWrite, StoreUnavailableError } from "../store/registry-store.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { Pulses } from "./pulses.ts";
import { StateWriter } from "./state-writer.ts";

const { agentId } = agentWith();
let writer: StateWriter | null = null;
afterEach(() => writer?.stop("test"));

async function start() {
  const ports = manualPorts();
  const fleet = new Fleet("here");
  fleet.put(agentWith());
  const written: BeatWrite[] = [];
  const database = { isAway: false };
  const store = storeStub({
    writeBeats: (beats) => {
      if (database.isAway) return Promise.reject(new StoreUnavailableError("away"));
      written.push(...beats);
      return Promise.resolve({ nowMs: ports.clock.now() });
    },
  });
  const storeClock = new StoreClock(ports.clock);
  writer = new StateWriter({
    replicaId: "here",
    fleet,
    pulses: new Pulses(),
    store,
    storeClock,
    ports,
    logger: captureLogger(),
  });
  await writer.start();
  return { ports, written, writer, database };
}

describe("what beats say, on its way to the store", () => {
  it("samples are gathered for a second", async () => {
    const { ports, written, writer: states } = await start();
    await ports.advance(1_000);
    states.sampled(agentId);
    states.sampled(agentId);
    await ports.advance(900);
    expect(written).toEqual([]);
    await ports.advance(100);
    expect(written).toMatchObject([{ agentId, sample: { sampledAtMs: 1_000 } }]);
  });

  it("R-CAP-5: the first of a session is written at once: until then other processes offer nothing of the agent", async () => {
    const { ports, written, writer: states } = await start();
    await ports.advance(1_500);
    states.firstSample(agentId);
    await ports.advance(0);
    expect(written).toMatchObject([{ agentId, sample: { sampledAtMs: 1_000 } }]);
    states.sampled(agentId);
    await ports.advance(400);
    expect(written).toHaveLength(1);
  });

  it("a first sample that finds the store away is written with the others, as soon as it is back", async () => {
    const { ports, written, writer: states, database } = await start();
    await ports.advance(1_500);
    database.isAway = true;
    states.firstSample(agentId);
    await ports.advance(2_000);
    database.isAway = false;
    await ports.advance(2_000);
    expect(written).toMatchObject([{ agentId, sample: { sampledAtMs: 1_000 } }]);
  });
});
