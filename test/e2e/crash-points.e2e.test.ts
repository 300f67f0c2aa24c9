import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { bundleTestProgram } from "./support/bundle.ts";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { type CrashPoint, crashPointText } from "./support/crash-point.ts";
import { brokenBooks, nothingPromised } from "./support/facts.ts";
import { must } from "./support/results.ts";
import { planStatusWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

// One cluster for all points: registry and agent live through them, which is what the points assume. A point that fails takes
// the cluster with it, and the next one starts a fresh one.
let cluster: Cluster | undefined;
let program: string;

beforeAll(async () => {
  program = await bundleTestProgram(new URL("./support/orchestrator-under-test.ts", import.meta.url));
}, 60_000);

afterAll(async () => {
  await cluster?.stop();
});

function startFresh(): Promise<Cluster> {
  return startCluster({
    label: "crash",
    agents: [{ cpuCores: 3, memoryGb: 4 }],
    // What a dead orchestrator was placing is taken over after its claim has ended.
    env: { PAUSE_POLLING_INTERVAL_SECONDS: "1", HEADROOM_CLAIM_LEASE_SECONDS: "2" },
  });
}

const before = (port: CrashPoint["port"], method: string, call = 1): CrashPoint => ({ port, method, when: "before", call });
const after = (port: CrashPoint["port"], method: string, call = 1): CrashPoint => ({ port, method, when: "after", call });
const around = (port: CrashPoint["port"], method: string, call = 1): CrashPoint[] => [before(port, method, call), after(port, method, call)];

/** Every two steps of DESIGN 5, in the order in which a plan comes by them. */
const points: readonly CrashPoint[] = [
  ...around("store", "acceptPlan"),
  ...around("registry", "reserve"),
  ...around("store", "assign"),
  ...around("store", "park"),
  // Between the commit and the agent's stream lies nothing but memory: after `assign` is before "sent".
  ...around("store", "acceptAttempt"),
  after("store", "acceptAttempt", 3),
  ...around("store", "markStarted"),
  ...around("store", "appendOutput"),
  ...around("store", "finishAttempt"),
  before("store", "finishAttempt", 2),
  after("store", "finishAttempt", 3),
  ...around("registry", "release"),
  // Resuming what waited.
  ...around("store", "claimWaiting"),
  ...around("registry", "reserve", 2),
  ...around("store", "assign", 2),
  before("store", "markChecked"),
];

const taskNames = [1, 2, 3, 4, 5, 6].map((n) => `task-${n}`);

describe("kill -9 of the orchestrator between every two steps: each task runs exactly once", () => {
  for (const point of points) {
    it(`R-PAUSE-8 DESIGN-5: ${crashPointText(point)}`, { timeout: 120_000 }, async () => {
      cluster ??= await startFresh();
      const current = cluster;
      try {
        await survives(current, point);
      } catch (error) {
        cluster = undefined;
        const logs = current.logs(60);
        await current.stop();
        throw new Error(`${crashPointText(point)}: ${error instanceof Error ? error.message : String(error)}\n${logs}`, { cause: error });
      }
    });
  }
});

async function survives(current: Cluster, point: CrashPoint): Promise<void> {
  const { client, ledger, orchestrator } = current;
  const armFile = join(current.dir, "armed");
  await orchestrator.term();
  orchestrator.start({
    argv: [process.execPath, program],
    env: { HEADROOM_TEST_CRASH_POINT: crashPointText(point), HEADROOM_TEST_ARM_FILE: armFile },
  });
  await current.ready();
  const died = orchestrator.ended();

  // Three run, three wait: two for room, one for its dependency.
  const names = taskNames.map((name) => `${crashPointText(point).replaceAll(/\W/g, "-")}.${name}`);
  const plan = {
    name: "crash",
    tasks: names.map((name, n) =>
      ledger.task(name, { script: "sleep 0.2; echo done", ...(n === 5 && { dependsOn: [names[0]!] }) }),
    ),
  };
  const requestId = randomUUID();
  writeFileSync(armFile, "");
  const first = await client.plans.dispatch(plan, { requestId });
  expect(await died, "the orchestrator was to die by its own hand").toBe("SIGKILL");
  rmSync(armFile);

  orchestrator.start();
  await current.ready();
  // The caller that heard nothing asks again, and gets the plan that was accepted, or is accepted now.
  const answer = must(await client.plans.dispatch(plan, { requestId }));
  if (first.kind === "ok") expect(answer).toMatchObject({ planId: first.value.planId, duplicate: true });

  const ended = await current.planEnd(answer.planId, 90_000);
  expect(planStatusWord(ended.status)).toBe("SUCCEEDED");
  await nothingPromised(current);
  expect(await brokenBooks(current.sql, answer.planId)).toEqual([]);
  const [starts, ends] = [ledger.starts(), ledger.ends()];
  expect(names.map((name) => [name, starts[name], ends[name]])).toEqual(names.map((name) => [name, 1, 1]));
  const plans = await current.sql<{ n: string }>("SELECT count(*) AS n FROM orchestrator.plans WHERE request_id = $1", [requestId]);
  expect(Number(plans[0]!.n)).toBe(1);
}
