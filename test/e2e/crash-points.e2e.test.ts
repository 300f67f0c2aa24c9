import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { PlanInput } from "@headroom/client";
import type { OrchestratorStore, RegistryPort } from "@headroom/orchestrator";
import { SeededRandom } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { bundleTestProgram } from "./support/bundle.ts";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { type CrashPoint, crashPointText, type Step } from "./support/crash-point.ts";
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

const armFileOf = ({ dir }: Cluster): string => join(dir, "armed");

/** The orchestrator, sound as long as nobody has written a crash point into the file. */
function startUnderTest(current: Cluster): void {
  current.orchestrator.start({
    argv: [process.execPath, program],
    env: { HEADROOM_TEST_ARM_FILE: armFileOf(current) },
  });
}

async function startFresh(): Promise<Cluster> {
  const started = await startCluster({
    label: "crash",
    agents: [{ cpuCores: 3, memoryGb: 4 }],
    // What a dead orchestrator was placing is taken over after its claim has ended.
    env: { PAUSE_POLLING_INTERVAL_SECONDS: "1", HEADROOM_CLAIM_LEASE_SECONDS: "2" },
  });
  await started.orchestrator.term();
  startUnderTest(started);
  await started.ready();
  return started;
}

const store = (method: keyof OrchestratorStore): Step => ({ port: "store", method });
const registry = (method: keyof RegistryPort): Step => ({ port: "registry", method });
const before = (step: Step, call = 1): CrashPoint => ({ ...step, when: "before", call });
const after = (step: Step, call = 1): CrashPoint => ({ ...step, when: "after", call });
const around = (step: Step, call = 1): CrashPoint[] => [before(step, call), after(step, call)];

/** Every two steps of DESIGN 5, in the order in which a plan comes by them. */
const points: readonly CrashPoint[] = [
  ...around(store("acceptPlan")),
  ...around(registry("reserve")),
  ...around(store("assign")),
  ...around(store("park")),
  // Between the commit and the agent's stream lies nothing but memory: after `assign` is before "sent".
  ...around(store("acceptAttempt")),
  after(store("acceptAttempt"), 3),
  ...around(store("markStarted")),
  ...around(store("appendOutput")),
  ...around(store("finishAttempt")),
  before(store("finishAttempt"), 2),
  after(store("finishAttempt"), 3),
  ...around(registry("release")),
  // Resuming what waited.
  ...around(store("claimWaiting")),
  ...around(registry("reserve"), 2),
  ...around(store("assign"), 2),
  before(store("markChecked")),
];

/** It dies again in what it does to recover from the death before. */
const chains: readonly (readonly CrashPoint[])[] = [
  [after(store("acceptPlan")), after(store("claimOrphans"))],
  [after(registry("reserve")), after(registry("reserve")), before(store("assign"))],
  [after(store("assign")), after(store("openAttempts")), after(store("takeToSendAgain"))],
  [before(store("acceptAttempt")), before(store("openAttempts")), after(store("acceptAttempt"))],
  // No later step is sure to come: while an orchestrator is away the agent's beats may give the room back, and its successor places
  // all that waits before it dies itself.
  [after(store("finishAttempt")), before(registry("release")), after(registry("release"))],
];

/** Each test with the cluster of those before, as long as they left it whole. */
async function withCluster(what: string, run: (current: Cluster) => Promise<void>): Promise<void> {
  cluster ??= await startFresh();
  const current = cluster;
  try {
    await run(current);
  } catch (error) {
    cluster = undefined;
    const logs = current.logs(60);
    await current.stop();
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}\n${logs}`, { cause: error });
  }
}

describe("kill -9 of the orchestrator between every two steps: each task runs exactly once", () => {
  for (const point of points) {
    const name = crashPointText(point);
    it(`R-PAUSE-8 DESIGN-5: ${name}`, () => withCluster(name, (current) => survives(current, [point])));
  }
  for (const chain of chains) {
    const name = chain.map(crashPointText).join(", then ");
    it(`R-PAUSE-8 DESIGN-5: ${name}`, () => withCluster(name, (current) => survives(current, chain)));
  }

  it("R-PAUSE-8: kill -9 of orchestrator and registry at moments that nobody chose", async () => {
    const seed = Number(process.env["HEADROOM_TEST_SEED"] ?? Date.now() % 1_000_000);
    const random = new SeededRandom(seed);
    await withCluster(`HEADROOM_TEST_SEED=${seed}`, async (current) => {
      const names = Array.from({ length: 24 }, (_, n) => `random-${n}`);
      const tasks = names.map((name) => current.ledger.task(name, { script: "sleep 0.2; echo done" }));
      const { planId } = must(await current.client.plans.dispatch({ name: "random", tasks }));
      for (let kill = 0; kill < 8; kill += 1) {
        await pause(50 + random.next() * 900);
        if (random.next() < 0.7) {
          await current.orchestrator.kill9();
          startUnderTest(current);
        } else {
          await current.registry.kill9();
          current.registry.start();
        }
      }
      await current.ready();
      await endsWell(current, planId, names);
    });
  });
});

/** Three run, three wait: two for room, one for its dependency. */
function planOf({ ledger }: Cluster, label: string): { readonly names: readonly string[]; readonly plan: PlanInput } {
  const names = [1, 2, 3, 4, 5, 6].map((n) => `${label}.task-${n}`);
  const tasks = names.map((name, n) =>
    ledger.task(name, { script: "sleep 0.2; echo done", ...(n === 5 && { dependsOn: [names[0]!] }) }),
  );
  return { names, plan: { name: "crash", tasks } };
}

async function survives(current: Cluster, chain: readonly CrashPoint[]): Promise<void> {
  const { client, orchestrator } = current;
  const { names, plan } = planOf(current, chain.map(crashPointText).join("-").replaceAll(/\W/g, "-"));
  const requestId = randomUUID();
  let acceptedAs: string | undefined;
  for (const [index, point] of chain.entries()) {
    writeFileSync(armFileOf(current), JSON.stringify(point));
    if (index > 0) startUnderTest(current);
    const died = orchestrator.ended();
    if (index === 0) {
      const first = await client.plans.dispatch(plan, { requestId });
      if (first.kind === "ok") acceptedAs = first.value.planId;
    }
    const ending = await Promise.race([died, pause(30_000, "it lives" as const, { ref: false })]);
    expect(ending, `it was to die at ${crashPointText(point)}`).toBe("SIGKILL");
  }
  rmSync(armFileOf(current));

  startUnderTest(current);
  await current.ready();
  // The caller that heard nothing asks again, and gets the plan that was accepted, or is accepted now.
  const answer = must(await client.plans.dispatch(plan, { requestId }));
  if (acceptedAs !== undefined) expect(answer).toMatchObject({ planId: acceptedAs, duplicate: true });
  await endsWell(current, answer.planId, names);
  const plans = await current.sql<{ n: string }>("SELECT count(*) AS n FROM orchestrator.plans WHERE request_id = $1", [
    requestId,
  ]);
  expect(Number(plans[0]!.n)).toBe(1);
}

/** All succeeded, each command ran once, nothing is promised any more, every queue row was resumed once. */
async function endsWell(current: Cluster, planId: string, names: readonly string[]): Promise<void> {
  const ended = await current.planEnd(planId, 90_000);
  expect(planStatusWord(ended.status)).toBe("SUCCEEDED");
  await nothingPromised(current);
  expect(await brokenBooks(current.sql, planId)).toEqual([]);
  const [starts, ends] = [current.ledger.starts(), current.ledger.ends()];
  expect(names.map((name) => [name, starts[name], ends[name]])).toEqual(names.map((name) => [name, 1, 1]));
}
