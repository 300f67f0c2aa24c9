/** WatchCapacity: a snapshot, then what changes, coalesced. */
import { wire } from "@headroom/contracts";
import { createGrpcRegistry } from "@headroom/orchestrator";
import { createTestDatabase, manualPorts, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { machineOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

/** Collects what a watch says. */
class Watching {
  readonly messages: wire.WatchCapacityResponse[] = [];
  readonly #stop = new AbortController();
  readonly done: Promise<void>;

  constructor(at: RegistryUnderTest, request: Partial<wire.WatchCapacityRequest>) {
    this.done = this.#read(at, wire.WatchCapacityRequest.fromPartial(request));
  }

  async #read(at: RegistryUnderTest, request: wire.WatchCapacityRequest): Promise<void> {
    try {
      for await (const message of at.capacity.watchCapacity(request, { signal: this.#stop.signal })) {
        this.messages.push(message);
      }
    } catch {
      // It ends with an error when the server stops or the test does.
    }
  }

  async until(
    what: string,
    found: (message: wire.WatchCapacityResponse) => boolean,
  ): Promise<wire.WatchCapacityResponse> {
    return waitFor(() => this.messages.find(found), { describe: what });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done;
  }
}

describe("WatchCapacity", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;
  const open: Watching[] = [];

  beforeAll(async () => {
    database = await createTestDatabase({ label: "watch" });
    at = await startRegistry({ databaseUrl: database.connectionString });
  });
  afterEach(async () => {
    for (const watching of open.splice(0)) await watching.stop();
  });
  afterAll(async () => {
    await at?.stop();
    await database?.drop();
  });

  async function watch(coalesceMs = 5, heartbeat?: wire.WatchCapacityRequest["heartbeat"]): Promise<Watching> {
    const watching = new Watching(at, { coalesce: { seconds: 0, nanos: coalesceMs * 1e6 }, heartbeat });
    open.push(watching);
    await watching.until("the snapshot", ({ snapshot }) => snapshot);
    return watching;
  }

  it("begins with the whole fleet, whatever its status", async () => {
    const [here, gone] = [await at.join(), await at.join()];
    gone.goodbye();
    await gone.whenClosed();
    const { messages } = await watch();
    const ids = messages[0]!.agents.map(({ agentId }) => agentId);
    expect(ids).toContain(here.agentId);
    expect(ids).toContain(gone.agentId);
    expect(messages[0]!.roomAppeared).toBe(true);
  });

  it("tells a new agent, a new sample, a loss and a removal, with a rising revision of one instance", async () => {
    const watching = await watch();
    const agent = await at.join();
    const { agentId } = agent;
    const about = (message: wire.WatchCapacityResponse) => message.agents.find((row) => row.agentId === agentId);
    const joined = await watching.until("the new agent", (message) => about(message) !== undefined);
    expect(joined).toMatchObject({ snapshot: false, roomAppeared: true });
    await agent.beat({ sample: machineOf({ cores: 3 }) });
    const less = await watching.until("less room", (message) => about(message)?.cpuCoresAvailable === 3);
    expect(less.roomAppeared).toBe(false);
    agent.goodbye();
    const lost = await watching.until(
      "the loss",
      (message) => about(message)?.status === wire.AgentStatus.AGENT_STATUS_OFFLINE,
    );
    expect(lost.roomAppeared).toBe(false);
    await at.fleet.removeAgent({ agentId });
    await watching.until("the removal", ({ removedAgentIds }) => removedAgentIds.includes(agentId));
    const revisions = watching.messages.map(({ revision }) => revision!);
    expect(new Set(revisions.map(({ registryInstance }) => registryInstance)).size).toBe(1);
    const counters = revisions.map(({ counter }) => counter);
    expect(counters).toEqual(counters.toSorted((a, b) => a - b));
  });

  it("a reservation shows, and its release says that room appeared", async () => {
    const agent = await at.join();
    const { agentId } = agent;
    const watching = await watch();
    const attemptId = randomUUID();
    const coresOf = (message: wire.WatchCapacityResponse) =>
      message.agents.find((row) => row.agentId === agentId)?.cpuCoresAvailable;
    const reservations = [reserveOf(attemptId, { cpuCores: 4, agentId })];
    await at.capacity.reserveCapacity({ reservations, allOrNothing: false });
    const taken = await watching.until("the reservation", (message) => coresOf(message) === 12);
    expect(taken.roomAppeared).toBe(false);
    await at.capacity.releaseCapacity({ attempts: [{ attemptId, fence: 1 }], reason: "" });
    const back = await watching.until("the room", (message) => coresOf(message) === 16);
    expect(back.roomAppeared).toBe(true);
  });

  it("uncordoning, attaching and the owner's release are room that appeared", async () => {
    const agent = await at.join({ attached: false });
    const { agentId } = agent;
    const appearances = async (change: () => Promise<unknown>): Promise<void> => {
      const watching = await watch();
      await change();
      const told = await watching.until(
        "the change",
        (message) => !message.snapshot && message.agents.some((row) => row.agentId === agentId),
      );
      expect(told.roomAppeared).toBe(true);
    };
    await appearances(() => agent.beat({ attached: true }));
    await agent.beat({ ownerHold: true });
    await appearances(() => agent.beat());
    await at.fleet.cordonAgent({ agentId, reason: "" });
    await appearances(() => at.fleet.uncordonAgent({ agentId }));
  });

  it("several changes become one message when they are held back", async () => {
    const agent = await at.join();
    const watching = await watch(2_000);
    for (let cores = 1; cores <= 20; cores += 1) await agent.beat({ sample: machineOf({ cores, totalCores: 32 }) });
    await watching.until("the newest state", (message) =>
      message.agents.some((row) => row.agentId === agent.agentId && row.cpuCoresAvailable === 20),
    );
    expect(watching.messages.length).toBeLessThan(10);
  });

  it("gives signs of life while nothing changes, as often as was asked for, and between them tells what does", async () => {
    const agent = await at.join();
    const { agentId } = agent;
    const watching = await watch(5, { seconds: 1, nanos: 0 });
    const isSign = (message: wire.WatchCapacityResponse) => !message.snapshot && message.agents.length === 0;
    const signs = () => watching.messages.filter(isSign);
    await waitFor(() => signs().length >= 2, { describe: "two signs of life" });
    expect(signs()).toMatchObject([{ roomAppeared: false, more: false }, { roomAppeared: false }]);
    await agent.beat({ sample: machineOf({ cores: 3 }) });
    const told = await watching.until("the change", (message) =>
      message.agents.some((row) => row.agentId === agentId && row.cpuCoresAvailable === 3),
    );
    const before = signs().length;
    const { revision } = await waitFor(() => signs()[before], { describe: "a sign of life after the change" });
    expect(revision!.counter).toBeGreaterThanOrEqual(told.revision!.counter);
  });

  it("R-PAUSE-9: an orchestrator's watch ends when the registry gives no sign of life any more, and says so", async () => {
    const ports = manualPorts();
    const stop = new AbortController();
    const watching = createGrpcRegistry(at.connect(), ports.timers).watch(stop.signal)[Symbol.asyncIterator]();
    expect((await watching.next()).value).toMatchObject({ snapshot: true });
    const next = watching.next();
    // The real registry's first sign of life, from which on others are expected.
    await waitFor(() => ports.timers.pendingDelays().length > 0, { describe: "a sign of life" });
    await Promise.all([expect(next).rejects.toMatchObject({ reason: "REGISTRY_SILENT" }), ports.advance(10_000)]);
    expect(ports.timers.pendingDelays()).toEqual([]);
  });

  it("refuses an absurd delay", async () => {
    const read = async (request: Partial<wire.WatchCapacityRequest>) => {
      for await (const message of at.capacity.watchCapacity(wire.WatchCapacityRequest.fromPartial(request)))
        return message;
      return null;
    };
    const refused = { code: "INVALID_ARGUMENT" };
    await expect(read({ coalesce: { seconds: 3_600, nanos: 0 } })).rejects.toMatchObject(refused);
    await expect(read({ heartbeat: { seconds: 0, nanos: 1e6 } })).rejects.toMatchObject(refused);
  });

  it("a reader that leaves is forgotten", async () => {
    const count = async (): Promise<string | undefined> =>
      /headroom_capacity_watchers (\d+)/.exec(await (await fetch(`${at.restUrl}/metrics`)).text())?.[1];
    await waitFor(async () => (await count()) === "0");
    const watching = await watch();
    expect(await count()).toBe("1");
    await watching.stop();
    await waitFor(async () => (await count()) === "0");
  });
});
