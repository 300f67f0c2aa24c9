/** DESIGN 4, 5: the agent and its work go to sleep with the machine, and come back. Real processes and streams; only the system's word and its clocks are the test's. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAgent, loadAgentConfig, type Agent, type SleepListener } from "@headroom/agent";
import { wire } from "@headroom/contracts";
import { systemRandom } from "@headroom/runtime";
import { captureLogger, makeTempDir, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assignmentOf, fakeServices, token, type FakeServices } from "./agent-services.ts";

let dir: TempDir;
let services: FakeServices;
let agent: Agent;
let system: SleepListener | undefined;
let suspendedMs = 0;

beforeEach(async () => {
  dir = await makeTempDir("agent sleep");
  await writeFile(join(dir.path, "token"), token, { mode: 0o600 });
  services = fakeServices();
  await services.start();
  const env = {
    HEADROOM_DATA_DIR: dir.path,
    HEADROOM_REGISTRY_ADDR: services.address(),
    HEADROOM_ORCHESTRATOR_ADDR: services.address(),
    HEADROOM_AGENT_STOP_GRACE_SECONDS: "5",
  };
  agent = createAgent(await loadAgentConfig({ env }), {
    logger: captureLogger(),
    env: { ...process.env, ...env },
    sleepSource: {
      start: (listener) => {
        system = listener;
      },
      stop: () => Promise.resolve(),
    },
    suspendMeter: {
      takeMs() {
        const taken = suspendedMs;
        suspendedMs = 0;
        return taken;
      },
    },
  });
  await agent.start();
  await waitFor(() => agent.status()?.isAttached === true && agent.status()?.isOnline === true);
});
afterEach(async () => {
  await agent.stop();
  await services.stop();
  await dir.remove();
});

/** "S" sleeping in the sense of the kernel, "T" stopped. */
const stateOf = (pid: number): string => / ([A-Z]) /.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? "";

async function runForLong(): Promise<{ attemptId: string; pid: number }> {
  const attemptId = systemRandom.uuid();
  const argv = [process.execPath, "-e", "setInterval(() => undefined, 1000)"];
  services.say({ $case: "assignment", value: assignmentOf(attemptId, argv) });
  const started = await waitFor(() => services.work("started").find((one) => one.attemptId === attemptId));
  return { attemptId, pid: started.pid };
}

describe.runIf(process.platform === "linux")("a machine that sleeps", () => {
  it("says goodbye, stops its work, and lets it go on only when the lease is renewed", async () => {
    const { attemptId, pid } = await runForLong();
    services.renews = false;
    await system?.announced();
    expect(services.beats("goodbye")).toEqual([{ reason: wire.GoodbyeReason.GOODBYE_REASON_SLEEP }]);
    expect(agent.status()).toMatchObject({ isOnline: false, isAttached: false, attempts: [attemptId] });
    await waitFor(() => stateOf(pid) === "T");

    const [hellos, renewals] = [services.beats("hello").length, services.work("renew").length];
    system?.back();
    await waitFor(() => services.beats("hello").length > hellos && services.work("renew").length > renewals);
    // It lists what it has, and asks; nothing goes on before the answer.
    expect(services.beats("hello").at(-1)?.sample?.attempts).toMatchObject([{ attemptId }]);
    expect(services.work("renew").at(-1)?.attempts).toMatchObject([{ attemptId }]);
    expect(stateOf(pid)).toBe("T");
    services.renews = true;
    services.say({ $case: "renewed", value: { attemptIds: [attemptId], unwantedAttemptIds: [] } });
    await waitFor(() => stateOf(pid) !== "T");
    expect(services.work("finished")).toEqual([]);
  });

  it("is noticed by its clocks where nobody announced it: new streams at once, nothing goes on unasked", async () => {
    const { attemptId, pid } = await runForLong();
    services.renews = false;
    const [hellos, attaches] = [services.beats("hello").length, services.work("hello").length];
    suspendedMs = 3_600_000;
    await waitFor(() => services.beats("hello").length > hellos && services.work("hello").length > attaches);
    await waitFor(() => stateOf(pid) === "T");
    expect(services.beats("goodbye")).toEqual([]);
    await waitFor(() => agent.status()?.isAttached === true);
    // The orchestrator has given the attempt to somebody else meanwhile.
    services.say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [attemptId] } });
    const finished = await waitFor(() => services.work("finished")[0]);
    expect(finished).toMatchObject({ attemptId, outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED });
  });
});
