import { setImmediate as nextTurn } from "node:timers/promises";
import { durationFromMs, timestampFromMs, wire } from "@headroom/contracts";
import { createDeferred, sleep, systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAgent } from "./agent.ts";
import type { AgentOverrides } from "./agent-parts.ts";
import { loadAgentConfig } from "./config/config.ts";
import type { Sampler } from "./sampling/sampler.ts";
import { fakeStream } from "./work/fake-stream.test-helper.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("agent measuring");
});
afterEach(() => dir.remove());

const never = (): Promise<never> => new Promise(() => undefined);
const away = (): Promise<never> => Promise.reject(new Error("away"));

async function agentWith(overrides: AgentOverrides) {
  const ports = { ...manualPorts(), random: systemPorts.random };
  const logger = captureLogger();
  const counts = { ticks: 0, opened: 0, samples: 0, peaks: 0 };
  const sampler: Sampler = {
    start: () => Promise.resolve(),
    sample() {
      counts.samples += 1;
      return never();
    },
    watchPeaks() {
      counts.peaks += 1;
      return never();
    },
    takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }),
  };
  const agent = createAgent(await loadAgentConfig({ env: { HEADROOM_DATA_DIR: dir.path } }), {
    ports,
    logger,
    sampler,
    readOwnerHold: () => Promise.resolve(null),
    sleepSource: { start: () => undefined, stop: () => Promise.resolve() },
    // Asked with each tick, right before the leases are judged.
    suspendMeter: {
      takeMs() {
        counts.ticks += 1;
        return 0;
      },
    },
    connections: {
      openHeartbeat() {
        counts.opened += 1;
        return away();
      },
      openAttach: away,
      enroll: away,
      close: () => undefined,
    },
    ...overrides,
  });
  return { agent, ports, logger, counts };
}

it("a measuring that hangs keeps neither leases from being judged nor the heartbeat from beating, and none joins it", async () => {
  const { agent, ports, logger, counts } = await agentWith({});
  await agent.start();
  await ports.advance(30_000);
  expect(counts.ticks).toBeGreaterThanOrEqual(29);
  expect(counts.opened).toBeGreaterThan(1);
  expect([counts.samples, counts.peaks]).toEqual([1, 1]);
  expect(logger.records.filter(({ message }) => message.includes("what the attempts use failed"))).toHaveLength(1);
  const stopped = agent.stop("the test ends");
  for (let turn = 0; agent.state() !== "stopped" && turn < 1_000; turn += 1) {
    await ports.advance(100);
    await nextTurn();
  }
  await stopped;
});

it.each([
  ["cannot be measured any more", "for good"],
  ["takes 8 s to be measured each time, after which nobody waits", "for 8 s"],
])("DESIGN-3: a machine that %s is told to have no room, until it can be", async (_what, howLong) => {
  const dimension = { total: 1_000, available: 800, declared: false };
  const sample = wire.Sample.fromPartial({
    sampledAt: timestampFromMs(1),
    cpuMillicores: dimension,
    memoryMib: { ...dimension, declared: true },
    cards: [{ cardId: "GPU-1", model: "RTX", vramMib: dimension }],
  });
  const stuck = createDeferred();
  let isStuck = false;
  const stream = fakeStream<wire.HeartbeatResponse, wire.HeartbeatRequest>();
  const { agent, ports, logger } = await agentWith({
    sampler: {
      start: () => Promise.resolve(),
      async sample() {
        if (isStuck) await (howLong === "for good" ? stuck.promise : sleep(ports.timers, 8_000));
        return sample;
      },
      watchPeaks: () => Promise.resolve(),
      takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }),
    },
    connections: {
      openHeartbeat: () => Promise.resolve(() => stream),
      openAttach: away,
      enroll: away,
      close: () => undefined,
    },
  });
  const told = () =>
    stream.sent.flatMap(({ message }) =>
      message?.$case === "beat" && message.value.sample ? [message.value.sample] : [],
    );
  const passBeats = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 1_000) {
      stream.say({ message: { $case: "ack", value: wire.Ack.fromPartial({ seq: 1 }) } });
      await ports.advance(1_000);
    }
  };
  await agent.start();
  await ports.settle();
  stream.say({ message: { $case: "welcome", value: wire.Welcome.fromPartial({ interval: durationFromMs(5_000) }) } });
  await passBeats(10_000);
  isStuck = true;
  // The first one, where the greeting was sent before the machine had been measured.
  const before = told().length;
  await passBeats(25_000);
  expect(told()).toHaveLength(before);
  await passBeats(15_000);
  expect(told().length).toBeGreaterThan(before);
  expect(told().at(-1)).toMatchObject({
    cpuMillicores: { total: 1_000, available: 0 },
    // What the owner declared was never measured.
    memoryMib: { total: 1_000, available: 800, declared: true },
    cards: [{ cardId: "GPU-1", vramMib: { total: 1_000, available: 0 } }],
  });
  const said = logger.records.filter(({ message }) => message.includes("has not been measured for 30 s"));
  expect(said.map(({ level }) => level).filter((level) => level !== "debug")).toEqual(["warn"]);
  isStuck = false;
  stuck.resolve();
  await passBeats(10_000);
  expect(told().at(-1)).toEqual(sample);
  expect(logger.has("what the machine has is told again", "info")).toBe(true);
  const stopped = agent.stop("the test ends");
  for (let turn = 0; agent.state() !== "stopped" && turn < 1_000; turn += 1) {
    await ports.advance(100);
    await nextTurn();
  }
  await stopped;
});

it("what fails with each look is said once: what the attempts use, the leases, the machine", async () => {
  const broken = (): Promise<never> => Promise.reject(new Error("EIO"));
  let isBroken = false;
  const { agent, ports, logger } = await agentWith({
    sampler: {
      start: () => Promise.resolve(),
      sample: broken,
      watchPeaks: () => (isBroken ? broken() : Promise.resolve()),
      takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }),
    },
    suspendMeter: {
      takeMs() {
        if (isBroken) throw new Error("EIO");
        return 0;
      },
    },
  });
  await agent.start();
  isBroken = true;
  await ports.advance(30_000);
  isBroken = false;
  await ports.advance(30_000);
  const said = (words: string): readonly string[] =>
    logger.records
      .filter(({ level, message }) => level !== "debug" && message.includes(words))
      .map(({ level }) => level);
  expect(said("what the attempts use")).toEqual(["warn", "info"]);
  expect(said("leases")).toEqual(["warn", "info"]);
  expect(said("could not be measured")).toEqual(["warn"]);
  const stopped = agent.stop("the test ends");
  for (let turn = 0; agent.state() !== "stopped" && turn < 1_000; turn += 1) {
    await ports.advance(100);
    await nextTurn();
  }
  await stopped;
});

it("an agent that cannot start says why before it ends what it had begun", async () => {
  const { agent, logger } = await agentWith({
    stores: {
      list: () => Promise.reject(new Error("EIO")),
      open: () => {
        throw new Error("not asked");
      },
    },
  });
  await expect(agent.start()).rejects.toThrow("EIO");
  expect(logger.has("cannot start", "error")).toBe(true);
});
