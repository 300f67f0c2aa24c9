import { spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAgent, loadAgentConfig, type Agent } from "@headroom/agent";
import { durationFromMs, wire } from "@headroom/contracts";
import { systemRandom } from "@headroom/runtime";
import { captureLogger, makeTempDir, spawnScript, waitFor, type SpawnedScript, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assignmentOf, fakeServices, token, type FakeServices } from "./agent-services.ts";

const { OUTPUT_STREAM_STDOUT: stdout, OUTPUT_STREAM_STDERR: stderr } = wire.OutputStream;
const outcomes = wire.AttemptOutcome;

let dir: TempDir;
let services: FakeServices;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  dir = await makeTempDir("agent");
  await writeFile(join(dir.path, "token"), token, { mode: 0o600 });
  services = fakeServices();
  await services.start();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  await services.stop();
  await dir.remove();
});

const environment = (): Record<string, string> => ({
  HEADROOM_DATA_DIR: dir.path,
  HEADROOM_REGISTRY_ADDR: services.address(),
  HEADROOM_ORCHESTRATOR_ADDR: services.address(),
  HEADROOM_AGENT_DECLARE_GPUS: "RTX 4090:24",
  HEADROOM_AGENT_LABELS: "site=here",
  HEADROOM_AGENT_STOP_GRACE_SECONDS: "5",
});

/** An agent in this very process. */
async function startAgent(): Promise<Agent> {
  const config = await loadAgentConfig({ env: environment() });
  const agent = createAgent(config, { logger: captureLogger(), env: { ...process.env, ...environment() } });
  cleanups.push(() => agent.stop());
  await agent.start();
  await waitFor(() => agent.status()?.isAttached === true && agent.status()?.isOnline === true);
  return agent;
}

/** The agent program, as a process. */
async function spawnAgent(): Promise<SpawnedScript> {
  const script = await spawnScript(fileURLToPath(new URL("agent-main.ts", import.meta.url)), { env: environment() });
  cleanups.push(() => script.kill9());
  return script;
}

/** Also what has ended and waits to be reaped: in a container nobody may do that. */
function isGone(pid: number): boolean {
  const state = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim();
  return state === "" || state.startsWith("Z");
}
const last = <T>(values: readonly T[]): T => values.at(-1)!;
const attemptsIn = (sample: wire.Sample | undefined): string[] =>
  (sample?.attempts ?? []).map((attempt) => attempt.attemptId);
const finishedOf = (attemptId: string): wire.AttemptFinished | undefined =>
  services.work("finished").find((finished) => finished.attemptId === attemptId);

describe("an agent on real sockets", () => {
  it("says who it is with a full sample, and that it is attached as soon as it is", async () => {
    await startAgent();
    const [hello] = services.beats("hello");
    expect(hello).toMatchObject({
      poolName: "default",
      agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
      labels: { site: "here" },
      platform: `${process.platform} ${process.arch}`,
      sample: { cards: [{ cardId: "gpu-0", model: "RTX 4090", vramMib: { total: 24_576, declared: true } }] },
    });
    expect(hello?.sample?.cpuMillicores?.total).toBeGreaterThan(0);
    expect(services.work("hello")).toMatchObject([
      { agentId: hello?.agentId, incarnation: hello?.incarnation, attempts: [] },
    ]);
    await waitFor(() => hello?.attached === true || services.beats("beat").some((beat) => beat.attached));
    await waitFor(() => services.beats("beat").length >= 3);
    const seqs = services.beats("beat").map((beat) => beat.seq);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });

  it("answers the question for a full sample, and says which ack it has heard, so that what it lists is known to be newer", async () => {
    await startAgent();
    const beats = (): wire.Beat[] => services.beats("beat");
    services.wantsFull = true;
    const firstAsked = beats().length + 1;
    const answers = await waitFor(() => {
      const found = beats().filter(({ ackedSeq = 0 }) => ackedSeq >= firstAsked);
      return found.length >= 3 ? found : null;
    });
    expect(answers.every(({ sample }) => sample !== undefined)).toBe(true);
    expect(beats().every(({ seq, ackedSeq }) => ackedSeq !== undefined && ackedSeq < seq)).toBe(true);
  });

  it("runs a command, streams its output exactly, lists it in a sample at once, and takes it off at its end", async () => {
    await startAgent();
    const attemptId = systemRandom.uuid();
    const script = "printf 'out\\000\\377'; echo err >&2; while [ ! -e go ]; do sleep 0.05; done; exit 4";
    const command = wire.Command.fromPartial({ argv: ["sh", "-c", script], workingDir: dir.path });
    services.say({ $case: "assignment", value: assignmentOf(attemptId, [], { command }) });
    await waitFor(() => services.beats("beat").some((beat) => attemptsIn(beat.sample).includes(attemptId)));
    expect(services.work("answer")).toEqual([{ attemptId, fence: 1, accepted: true, reason: "" }]);
    await waitFor(() => services.work("started").length === 1);
    await writeFile(join(dir.path, "go"), "");
    const finished = await waitFor(() => finishedOf(attemptId));
    expect(finished).toMatchObject({ outcome: outcomes.ATTEMPT_OUTCOME_EXITED, exitCode: 4, signal: "" });
    expect(finished.used?.wallTime).toBeDefined();
    expect(services.output(attemptId, stdout)).toEqual(Buffer.from([0x6f, 0x75, 0x74, 0, 0xff]));
    expect(services.output(attemptId, stderr).toString()).toBe("err\n");
    expect(Math.max(...services.work("output").map((piece) => piece.seq))).toBe(finished.lastOutputSeq);
    const samples = (): wire.Sample[] => services.beats("beat").flatMap((beat) => beat.sample ?? []);
    await waitFor(() => attemptsIn(last(samples())).length === 0);
  });

  it("delivers megabytes of output whole", async () => {
    await startAgent();
    const attemptId = systemRandom.uuid();
    const script = "const b=Buffer.alloc(5e6);for(let i=0;i<b.length;i++)b[i]=(i*7)%251;process.stdout.write(b)";
    services.say({ $case: "assignment", value: assignmentOf(attemptId, [process.execPath, "-e", script]) });
    await waitFor(() => finishedOf(attemptId));
    await waitFor(() => services.output(attemptId, stdout).length === 5_000_000);
    expect(services.output(attemptId, stdout).every((byte, index) => byte === (index * 7) % 251)).toBe(true);
  });

  it("cancels the whole process group", async () => {
    await startAgent();
    const attemptId = systemRandom.uuid();
    services.say({ $case: "assignment", value: assignmentOf(attemptId, ["sh", "-c", "sleep 1000 & echo $!; wait"]) });
    await waitFor(() => services.output(attemptId, stdout).length > 0);
    const grandchild = Number(services.output(attemptId, stdout).toString());
    services.say({ $case: "cancel", value: { attemptId, fence: 1, grace: durationFromMs(5_000), reason: "asked" } });
    expect(await waitFor(() => finishedOf(attemptId))).toMatchObject({
      outcome: outcomes.ATTEMPT_OUTCOME_CANCELLED,
      signal: "SIGTERM",
    });
    expect(isGone(grandchild)).toBe(true);
  });

  it("R-PAUSE-9: goes on while the services are away, and delivers the result once they are back", async () => {
    const agent = await startAgent();
    const attemptId = systemRandom.uuid();
    const command = wire.Command.fromPartial({
      argv: ["sh", "-c", "echo before; while [ ! -e go ]; do sleep 0.05; done; echo after"],
      workingDir: dir.path,
    });
    services.say({ $case: "assignment", value: assignmentOf(attemptId, [], { command }) });
    await waitFor(() => services.output(attemptId, stdout).toString() === "before\n");
    await services.stop();
    await waitFor(() => agent.status()?.isAttached === false && agent.status()?.isOnline === false);
    await writeFile(join(dir.path, "go"), "");
    await waitFor(() => agent.status()?.attempts.length === 0);
    await services.start();
    expect(await waitFor(() => finishedOf(attemptId))).toMatchObject({ exitCode: 0 });
    expect(last(services.work("hello")).attempts).toMatchObject([{ attemptId, fence: 1, finished: true }]);
    expect(services.output(attemptId, stdout).toString()).toBe("before\nafter\n");
    await waitFor(() => agent.status()?.isOnline === true);
    expect(new Set(services.beats("hello").map((hello) => hello.incarnation)).size).toBe(1);
  });

  it("comes back after a reconnect message, and what runs goes on", async () => {
    const agent = await startAgent();
    const attemptId = systemRandom.uuid();
    services.say({ $case: "assignment", value: assignmentOf(attemptId, ["sleep", "1000"]) });
    await waitFor(() => services.work("started").length === 1);
    services.say({ $case: "reconnect", value: { within: durationFromMs(200) } });
    services.sayHeartbeat({ $case: "reconnect", value: { within: durationFromMs(200) } });
    await waitFor(() => services.work("hello").length === 2 && services.beats("hello").length === 2);
    expect(last(services.work("hello")).attempts).toEqual([{ attemptId, fence: 1, finished: false }]);
    expect(agent.status()?.attempts).toEqual([attemptId]);
  });

  it("tells of the owner's hold and takes nothing under it", async () => {
    const agent = await startAgent();
    await writeFile(join(dir.path, "agent", "owner-hold"), "gaming");
    await waitFor(() => services.beats("beat").some((beat) => beat.ownerHold));
    expect(agent.status()?.ownerHold).toBe("gaming");
    services.say({ $case: "assignment", value: assignmentOf(systemRandom.uuid(), ["true"]) });
    expect(await waitFor(() => services.work("answer")[0])).toMatchObject({ accepted: false, reason: "OWNER_HOLD" });
  });

  it("evicts what runs when it stops, delivers that, and says goodbye last; twice is once", async () => {
    const agent = await startAgent();
    const attemptId = systemRandom.uuid();
    services.say({ $case: "assignment", value: assignmentOf(attemptId, ["sleep", "1000"]) });
    await waitFor(() => services.work("started").length === 1);
    await Promise.all([agent.stop(), agent.stop()]);
    // It says that it takes nothing more, before what it ends is tried again.
    expect(services.beats("beat").findIndex(({ attached }) => !attached)).toBeGreaterThanOrEqual(0);
    expect(last(services.beats("beat")).attached).toBe(false);
    expect(finishedOf(attemptId)).toMatchObject({ outcome: outcomes.ATTEMPT_OUTCOME_EVICTED });
    expect(last(services.heartbeats)).toEqual({
      $case: "goodbye",
      value: { reason: wire.GoodbyeReason.GOODBYE_REASON_SHUTDOWN },
    });
    await agent.start();
    await waitFor(() => services.work("hello").length === 2);
    expect(last(services.work("hello")).attempts).toEqual([]);
    expect(new Set(services.beats("hello").map((hello) => hello.agentId)).size).toBe(1);
    expect(new Set(services.work("hello").map((hello) => hello.incarnation)).size).toBe(2);
  });

  it("keeps results that nobody acknowledged for the next start", async () => {
    services.acks = false;
    const agent = await startAgent();
    const attemptId = systemRandom.uuid();
    services.say({ $case: "assignment", value: assignmentOf(attemptId, ["sh", "-c", "echo kept; exit 9"]) });
    await waitFor(() => finishedOf(attemptId));
    await agent.stop();
    services.works.length = 0;
    services.acks = true;
    await agent.start();
    expect(await waitFor(() => finishedOf(attemptId))).toMatchObject({ exitCode: 9 });
    await waitFor(() => services.output(attemptId, stdout).toString() === "kept\n");
  });
});

describe("the agent program", () => {
  it("after kill -9 ends what it had left running, says AGENT_RESTARTED, and is the same agent", async () => {
    const first = await spawnAgent();
    await waitFor(() => services.work("hello").length === 1);
    const attemptId = systemRandom.uuid();
    const script = "setsid sh -c 'echo $$; exec sleep 1000' & echo $$; wait; sleep 1000";
    services.say({ $case: "assignment", value: assignmentOf(attemptId, ["sh", "-c", script]) });
    const pids = await waitFor(() => {
      const lines = services
        .output(attemptId, stdout)
        .toString()
        .split("\n")
        .filter((line) => line !== "");
      return lines.length === 2 && lines.map(Number);
    });
    await first.kill9();
    expect(pids.map(isGone)).toEqual([false, false]);
    services.works.length = 0;
    await spawnAgent();
    expect(await waitFor(() => finishedOf(attemptId))).toMatchObject({
      outcome: outcomes.ATTEMPT_OUTCOME_AGENT_RESTARTED,
      fence: 1,
    });
    expect(pids.map(isGone)).toEqual([true, true]);
    await waitFor(() => services.beats("hello").length === 2);
    expect(new Set(services.beats("hello").map((hello) => hello.agentId)).size).toBe(1);
  });

  it("I1: after kill -9 tells how a command had ended, though what it left behind had still to be ended", async () => {
    const first = await spawnAgent();
    await waitFor(() => services.work("hello").length === 1);
    const attemptId = systemRandom.uuid();
    // It heeds the second TERM only, which is the next program's.
    const stray =
      "trap '[ -n \"$asked\" ] && exit; asked=1; echo asked' TERM; echo ready; while :; do sleep 0.02; done";
    const script = `(setsid sh -c "$0") & sleep 0.3; exit 7`;
    services.say({ $case: "assignment", value: assignmentOf(attemptId, ["sh", "-c", script, stray]) });
    await waitFor(() => services.output(attemptId, stdout).toString().includes("asked"));
    expect(finishedOf(attemptId)).toBeUndefined();
    const journal = join(dir.path, "agent", "journal.jsonl");
    await waitFor(async () => (await readFile(journal, "utf8")).includes('"exitCode":7'));
    await first.kill9();
    services.works.length = 0;
    await spawnAgent();
    expect(await waitFor(() => finishedOf(attemptId))).toMatchObject({
      outcome: outcomes.ATTEMPT_OUTCOME_EXITED,
      exitCode: 7,
      fence: 1,
      sentence: expect.stringMatching(/before all of it was known to be gone.*process\(es\) of it were ended/),
    });
  });

  it("on SIGTERM evicts, says goodbye and exits with 0", async () => {
    const agent = await spawnAgent();
    await waitFor(() => services.work("hello").length === 1);
    const attemptId = systemRandom.uuid();
    services.say({ $case: "assignment", value: assignmentOf(attemptId, ["sleep", "1000"]) });
    await waitFor(() => services.work("started").length === 1);
    agent.child.kill("SIGTERM");
    expect(await agent.ended()).toBe(0);
    expect(finishedOf(attemptId)).toMatchObject({ outcome: outcomes.ATTEMPT_OUTCOME_EVICTED });
    expect(last(services.heartbeats).$case).toBe("goodbye");
  });

  it("refuses a second agent on the same data, and a wrong setting, in one readable message", async () => {
    await startAgent();
    const second = await spawnAgent();
    expect(await second.ended()).toBe(1);
    expect(second.output()).toContain(`another agent (process ${process.pid}) already runs`);
    await mkdir(join(dir.path, "other", "agent"), { recursive: true });
    await writeFile(join(dir.path, "other", "agent", "agent.yaml"), "type: laptop\n");
    const env = { ...environment(), HEADROOM_DATA_DIR: join(dir.path, "other") };
    const wrong = await spawnScript(fileURLToPath(new URL("agent-main.ts", import.meta.url)), { env });
    expect(await wrong.ended()).toBe(1);
    expect(wrong.output()).toMatch(/agent\.yaml.*"laptop".*desktop/);
  });
});
