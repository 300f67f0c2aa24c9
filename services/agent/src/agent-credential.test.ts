import { mkdir, writeFile } from "node:fs/promises";
import { systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir, manualPorts, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAgent } from "./agent.ts";
import { loadAgentConfig } from "./config/config.ts";
import { credentialPath } from "./enrolment/credential-file.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("agent credential");
});
afterEach(() => dir.remove());

it("a credential that cannot be used is told at error, once a stream, and tried again", async () => {
  const config = await loadAgentConfig({ env: { HEADROOM_DATA_DIR: dir.path } });
  await mkdir(config.agentDir, { recursive: true });
  await writeFile(credentialPath(config.agentDir), "{", { mode: 0o600 });
  const ports = { ...manualPorts(), random: systemPorts.random };
  const logger = captureLogger();
  const agent = createAgent(config, {
    ports,
    logger,
    sampler: {
      start: () => Promise.resolve(),
      sample: () => Promise.reject(new Error("not measured")),
      watchPeaks: () => Promise.resolve(),
      takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }),
    },
    readOwnerHold: () => Promise.resolve(null),
    sleepSource: { start: () => undefined, stop: () => Promise.resolve() },
    suspendMeter: { takeMs: () => 0 },
  });
  await agent.start();
  const told = (words: string): readonly string[] =>
    logger.records.filter(({ message }) => message.includes(words)).map(({ level, message }) => `${level} ${message}`);
  await waitFor(async () => {
    await ports.advance(1_000);
    return told("work stream: still").length > 0 && told("heartbeat: still").length > 0;
  });
  expect(told("somebody has to act")).toEqual([
    "error heartbeat: refused; somebody has to act, trying on",
    "error work stream: refused; somebody has to act, trying on",
  ]);
  expect(told("coming back")).toEqual([]);
  const stopped = agent.stop("the test ends");
  await waitFor(async () => {
    await ports.advance(100);
    return agent.state() === "stopped";
  });
  await stopped;
});
