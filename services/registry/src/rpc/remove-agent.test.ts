/** What becomes of an agent in memory when what was said to the store, or by it, is lost. */
import type { CallContext } from "@headroom/rpc";
import { captureLogger, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { Pulses } from "../liveness/pulses.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import type { HandlerDeps } from "./deps.ts";
import { removeAgent } from "./remove-agent.ts";

const offline = agentWith({ status: "offline", epoch: 3 });
const { agentId } = offline;

/** `known`: in memory. `stored`: in the store. `meanwhile`: what happens here after the store has answered, before the answer is here. */
function setUp(given: {
  known: StoredAgent | null;
  stored: StoredAgent | null;
  /** The store remembers that it was removed. */
  wasRemoved?: boolean;
  meanwhile?: (fleet: Fleet) => void;
  isRepeat?: boolean;
}) {
  const ports = manualPorts();
  const fleet = new Fleet("r");
  if (given.known !== null) fleet.put(given.known);
  let { stored, wasRemoved = false } = given;
  const store = storeStub({
    removeAgent() {
      const absent = wasRemoved ? "removed_before" : "not_found";
      const outcome = stored === null ? absent : stored.status === "offline" ? "removed" : "not_offline";
      if (outcome === "removed") [stored, wasRemoved] = [null, true];
      given.meanwhile?.(fleet);
      return Promise.resolve(outcome);
    },
    loadAgents: () => Promise.resolve({ agents: stored === null ? [] : [stored], nowMs: ports.clock.now() }),
  });
  const pulses = new Pulses();
  if (given.known !== null) pulses.heard(agentId, ports.clock.monotonic());
  const writer = { flush: () => Promise.resolve() } as Partial<HandlerDeps["writer"]> as HandlerDeps["writer"];
  const storeClock = new StoreClock(ports.clock);
  const { clock } = ports;
  const deps: Partial<HandlerDeps> = { fleet, pulses, store, storeClock, clock, writer, requireReady: () => undefined };
  const context: Partial<CallContext> = { logger: captureLogger(), isRepeat: given.isRepeat ?? false };
  const handler = removeAgent(deps as HandlerDeps);
  return { ports, fleet, pulses, remove: () => handler({ agentId: agentId.toUpperCase() }, context as CallContext) };
}

describe("the removal of an agent", () => {
  it("is forgotten here when it was removed there and the answer was lost", async () => {
    const { fleet, pulses, remove } = setUp({ known: offline, stored: null, wasRemoved: true });
    expect(await remove()).toEqual({});
    expect(fleet.get(agentId)).toBeUndefined();
    expect(pulses.get(agentId)).toBeUndefined();
    await expect(remove()).rejects.toMatchObject({ reason: "AGENT_NOT_FOUND" });
  });

  it("is done when the caller's gRPC asks again, for the answer may have been lost on its way", async () => {
    const { remove } = setUp({ known: null, stored: null, wasRemoved: true, isRepeat: true });
    expect(await remove()).toEqual({});
    const first = setUp({ known: null, stored: null, wasRemoved: true });
    await expect(first.remove()).rejects.toMatchObject({ reason: "AGENT_NOT_FOUND" });
  });

  it("of an agent that never was is refused to the caller's gRPC that asks again, too: the first try may not have come so far", async () => {
    const { remove } = setUp({ known: null, stored: null, isRepeat: true });
    await expect(remove()).rejects.toMatchObject({ reason: "AGENT_NOT_FOUND" });
  });

  it("leaves alone whoever said hello again before the answer was here", async () => {
    const back = { ...offline, status: "online", epoch: 4 } as const;
    for (const known of [offline, null]) {
      const { fleet, pulses, remove } = setUp({
        known,
        stored: offline,
        meanwhile: (fleet) => {
          pulses.heard(agentId, 0);
          fleet.put(back);
        },
      });
      expect(await remove()).toEqual({});
      expect(fleet.get(agentId)).toBe(back);
      expect(pulses.get(agentId)).toBeDefined();
    }
  });

  it("takes up whom the store knows as online from a Hello whose answer was lost: its silence counts from now on", async () => {
    const stored = { ...offline, status: "online", epoch: 4 } as const;
    for (const known of [offline, null]) {
      const { ports, fleet, pulses, remove } = setUp({ known, stored });
      await ports.advance(60_000);
      await expect(remove()).rejects.toMatchObject({ reason: "AGENT_NOT_OFFLINE" });
      expect(fleet.get(agentId)).toMatchObject({ status: "online", epoch: 4 });
      const pulse = { heardAtMs: ports.clock.monotonic(), doubtedSinceMs: null };
      expect(pulses.get(agentId)).toMatchObject(pulse);
    }
  });

  it("learns nothing from the store of a session that is known here", async () => {
    const opened = { ...offline, status: "online", epoch: 4 } as const;
    const { ports, fleet, pulses, remove } = setUp({
      known: offline,
      stored: opened,
      meanwhile: (fleet) => fleet.put({ ...opened, attached: false }),
    });
    const { heardAtMs } = pulses.get(agentId)!;
    await ports.advance(60_000);
    await expect(remove()).rejects.toMatchObject({ reason: "AGENT_NOT_OFFLINE" });
    expect(fleet.get(agentId)).toMatchObject({ attached: false });
    expect(pulses.get(agentId)!.heardAtMs).toBe(heardAtMs);
  });
});
