/** Work and answers that are known, beside the rubbish: they must be the same after it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { wire } from "@headroom/client";
import { waitFor } from "@headroom/testing";
import { must } from "../../e2e/support/results.ts";
import { cleanUp } from "./clean-up.ts";
import { brokenRows } from "./rows.ts";
import { quietPool, type World } from "./world.ts";

export interface Canary {
  /** What is wrong now, in words; empty: all is as it was. Undoes what rubbish has really done (plans that it dispatched, holds) before it looks. */
  check(): Promise<readonly string[]>;
  /** Lets the work that ran all the time end; what is wrong then, reservations that are left among it. */
  end(): Promise<readonly string[]>;
}

export async function startCanary(world: World): Promise<Canary> {
  const { cluster } = world;
  const gate = join(cluster.dir, "gate-canary");
  const needs = { cpuCores: 1, memoryGb: 1, pool: quietPool };
  const wait = `n=0; while [ ! -e ${gate} ] && [ $n -lt 30000 ]; do n=$((n+1)); sleep 0.2; done`;
  const quick = (name: string) => cluster.ledger.task(name, { needs });
  const pids = world.services.map((service) => service.pid());
  const plans: string[] = [];
  const dispatch = async (name: string, tasks: ReturnType<typeof quick>[]): Promise<string> => {
    const { planId } = must(await cluster.client.plans.dispatch({ name, tasks }));
    plans.push(planId);
    return planId;
  };

  const donePlan = await dispatch("canary-done", [quick("done-1"), { ...quick("done-2"), dependsOn: ["done-1"] }]);
  const before = shown(await cluster.planEnd(donePlan));
  const runningPlan = await dispatch("canary-runs", [cluster.ledger.task("runs", { needs, script: wait })]);
  await waitFor(() => cluster.ledger.starts()["runs"] === 1, {
    timeoutMs: 30_000,
    describe: () => `the canary's task to run\n${cluster.logs()}`,
  });
  // What is measured of it comes with the beats.
  let capacityBefore = "";
  await waitFor(
    async () => {
      capacityBefore = await capacity(world);
      return capacityBefore.includes('"cpuCores":1');
    },
    { timeoutMs: 30_000, describe: () => `the reservation of the canary's task; seen ${capacityBefore}` },
  );
  let rounds = 0;

  async function check(): Promise<readonly string[]> {
    const problems: string[] = [];
    for (const [index, service] of world.services.entries()) {
      if (!service.isRunning() || service.pid() !== pids[index])
        return [`${service.name} did not survive\n${cluster.logs()}`];
    }
    problems.push(...(await cleanUp(world, plans)));
    const doneNow = shown(must(await cluster.client.plans.get(donePlan)));
    if (doneNow !== before) problems.push(`a plan that had ended is another one now: ${before} became ${doneNow}`);
    const running = must(await cluster.client.plans.get(runningPlan));
    if (running.counts?.running !== 1) problems.push(`work that ran does not run: ${JSON.stringify(running.counts)}`);
    let capacityNow = "";
    await waitFor(
      async () => {
        capacityNow = await capacity(world);
        return capacityNow === capacityBefore;
      },
      { timeoutMs: 60_000, describe: () => "the capacity of the agent to be as it was" },
    ).catch(() => problems.push(`capacity was ${capacityBefore} and is ${capacityNow}`));
    rounds += 1;
    const fresh = await dispatch(`canary-${rounds}`, [quick(`fresh-${rounds}`)]);
    const ended = await cluster.planEnd(fresh, 60_000).catch((error: unknown) => String(error));
    if (typeof ended === "string") problems.push(`a new plan did not end: ${ended}`);
    else if (ended.status !== wire.PlanStatus.PLAN_STATUS_SUCCEEDED)
      problems.push(`a new plan ended as ${ended.status}`);
    problems.push(...(await brokenRows(cluster.sql)));
    return problems;
  }

  async function end(): Promise<readonly string[]> {
    writeFileSync(gate, "");
    const ended = await cluster.planEnd(runningPlan);
    const problems =
      ended.status === wire.PlanStatus.PLAN_STATUS_SUCCEEDED ? [] : [`work that ran ended as ${ended.status}`];
    const [starts, ends] = [cluster.ledger.starts(), cluster.ledger.ends()];
    for (const [name, times] of Object.entries(starts)) {
      if (times !== 1 || ends[name] !== 1)
        problems.push(`${name} started ${times} times and ended ${ends[name] ?? 0} times`);
    }
    return [...problems, ...(await cleanUp(world, [])), ...(await nothingReserved(world))];
  }

  return { check, end };
}

async function nothingReserved({ cluster, quietAgentId, victim }: World): Promise<readonly string[]> {
  let left: readonly object[] = [];
  try {
    await waitFor(
      async () => {
        left = await cluster.sql(
          "SELECT attempt_id, agent_id, state, lease_expires_at FROM registry.reservations WHERE state <> 'released' AND agent_id IN ($1, $2)",
          [quietAgentId, victim.agentId],
        );
        return left.length === 0;
      },
      { timeoutMs: 90_000, describe: () => "no reservation on the real agents" },
    );
    return [];
  } catch {
    return [`room is still promised: ${JSON.stringify(left.slice(0, 5))}`];
  }
}

/** What is told of the quiet agent, without what is measured and moves by itself. */
async function capacity({ cluster, quietAgentId }: World): Promise<string> {
  const service = await cluster.client.channels.client("registry", wire.CapacityServiceService);
  const one = await service.getAgentCapacity({ agentId: quietAgentId });
  const listed = await service.listAvailableCapacity(
    wire.ListAvailableCapacityRequest.fromPartial({ poolName: quietPool }),
  );
  return shown({ one, listed: listed.agents.length });
}

const moving = new Set([
  "timestamp",
  "cpuLoad",
  "measured",
  "memoryAvailableGb",
  "expectedAvailableAt",
  "expectedAvailableIn",
  "evictAttemptIds",
]);

function shown(value: unknown): string {
  return JSON.stringify(value, (key, each: unknown) => (moving.has(key) ? undefined : each));
}
