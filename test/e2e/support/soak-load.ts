import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { HeadroomClient, PlanInput } from "@headroom/client";
import type { SeededRandom } from "@headroom/testing";
import type { AcceptedFact } from "../../support/invariants/facts.ts";
import type { Cluster } from "./cluster.ts";

export interface LoadReport {
  /** What callers were told to be accepted. */
  readonly accepted: readonly AcceptedFact[];
  readonly cancelled: number;
  /** Calls that had to be made again. */
  readonly repeated: number;
}

const submitters = 4;

export interface LoadOptions {
  /** From then on nothing new is submitted; what was not answered is asked again. */
  readonly signal: AbortSignal;
  /** And from then on that is given up too. Default: never. */
  readonly givesUp?: AbortSignal;
  /** With so many tasks open nobody submits more. */
  readonly openTasks: number;
  /** Ways to the orchestrators. Default: straight to each of them. */
  readonly clients?: readonly HeadroomClient[];
  /** Of most tasks, in seconds. Default: the usual five minutes. */
  readonly workLeaseSeconds?: number;
}

/** Submits plans; whoever gets no answer asks another way under the same request id, until there is one. */
export async function submitPlans(cluster: Cluster, random: SeededRandom, options: LoadOptions): Promise<LoadReport> {
  const { signal, givesUp, openTasks, workLeaseSeconds } = options;
  const clients = options.clients ?? cluster.orchestrators.map((_, index) => cluster.clientOf(0, index));
  const accepted: AcceptedFact[] = [];
  let cancelled = 0;
  let repeated = 0;
  let number = 0;
  const someClient = (): HeadroomClient => clients[random.int(0, clients.length - 1)]!;

  const isGivenUp = (): boolean => givesUp?.aborted === true;

  /** Null: it was given up. */
  async function submit(plan: PlanInput): Promise<string | null> {
    const requestId = randomUUID();
    while (!isGivenUp()) {
      const answer = await someClient().plans.dispatch(plan, { requestId, timeoutMs: 2_000 });
      if (answer.kind === "ok") return answer.value.planId;
      repeated += 1;
      // A plan that is refused for what it says would be refused for ever: that is a fault of this test.
      if (answer.error.kind === "invalid" || answer.error.kind === "internal") throw new Error(answer.error.message);
      await pause(50);
    }
    return null;
  }

  async function submitAll(): Promise<void> {
    while (!signal.aborted) {
      number += 1;
      const plan = somePlan(cluster, random, number, workLeaseSeconds);
      const planId = await submit(plan);
      if (planId === null) return;
      const isCancelled = random.next() < 0.1;
      accepted.push({ planId, tasks: plan.tasks?.length ?? 0, name: plan.name, mustSucceed: !isCancelled });
      if (isCancelled) {
        const answer = await someClient().plans.cancel(planId, "changed my mind", { timeoutMs: 2_000 });
        if (answer.kind === "ok") cancelled += 1;
      }
      await untilFewerOpen(cluster, openTasks, signal);
    }
  }

  await Promise.all(Array.from({ length: submitters }, submitAll));
  return { accepted, cancelled, repeated };
}

/** Some small tasks, some that take a whole machine, some with a card, some that depend on others, some that fail at first. */
function somePlan(
  { ledger }: Cluster,
  random: SeededRandom,
  number: number,
  workLeaseSeconds: number | undefined,
): PlanInput {
  const count = random.int(1, 8);
  const names = Array.from({ length: count }, (_, index) => `p${number}-t${index + 1}`);
  const tasks = names.map((name, index) => {
    const dice = random.next();
    const needs =
      dice < 0.1
        ? { cpuCores: 4, memoryGb: 1 }
        : dice < 0.3
          ? { cpuCores: 0.5, gpuVramGb: 9 }
          : { cpuCores: random.int(1, 2), memoryGb: 1 };
    const fails = random.next() < 0.1;
    const says = random.next() < 0.5 ? "; seq 1 200" : "";
    return ledger.task(name, {
      needs,
      script: `sleep ${(0.05 + random.next() * (random.next() < 0.1 ? 5 : 0.5)).toFixed(2)}${says}${fails ? '; [ $(grep -c "^start $LEDGER_TASK " "$LEDGER") -gt 1 ]' : ""}`,
      // Agents are killed too, and each time that counts as a run.
      maxAttempts: 20,
      retryOnFailure: fails,
      ...(workLeaseSeconds !== undefined &&
        random.next() < 0.7 && { workLease: { seconds: workLeaseSeconds, nanos: 0 } }),
      ...(index > 0 && random.next() < 0.2 && { dependsOn: [names[random.int(0, index - 1)]!] }),
    });
  });
  return { name: `soak-${number}`, priority: random.int(0, 3), tasks };
}

/** Work that needs room for a moment, and cannot fail. */
export function calmPlan({ ledger }: Cluster, random: SeededRandom, number: number): PlanInput {
  const tasks = Array.from({ length: random.int(3, 6) }, (_, index) =>
    ledger.task(`calm${number}-t${index + 1}`, {
      needs: { cpuCores: random.int(1, 3), memoryGb: 1 },
      script: `sleep ${(0.3 + random.next()).toFixed(2)}`,
    }),
  );
  return { name: `calm-${number}`, tasks };
}

async function untilFewerOpen(cluster: Cluster, most: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const [row] = await cluster.sql<{ n: string }>(
        `SELECT count(*) AS n FROM orchestrator.tasks WHERE state NOT IN ('succeeded', 'failed', 'cancelled')`,
      );
      if (Number(row!.n) < most) return;
    } catch {
      // PostgreSQL is away.
    }
    await pause(100);
  }
}
