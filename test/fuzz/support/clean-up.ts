/** Rubbish that was right by chance has its effect, as it should. What an operator would undo is undone here, by the same calls. */
import { must } from "../../e2e/support/results.ts";
import { wire } from "@headroom/client";
import { waitFor } from "@headroom/testing";
import type { World } from "./world.ts";

/** Ends what is not in `keep`: plans, holds, reservations of nobody. What cannot be undone is a problem, in words. */
export async function cleanUp(world: World, keep: readonly string[]): Promise<readonly string[]> {
  const { client, sql } = world.cluster;
  const problems: string[] = [];
  const released = await client.queue.release({ reason: "after rubbish" });
  if (released.kind === "error" && released.error.code !== "FAILED_PRECONDITION")
    problems.push(`the queue cannot be released: ${released.error.code} ${released.error.message}`);
  const plans = await sql<{ plan_id: string }>(
    "SELECT plan_id FROM orchestrator.plans WHERE outcome IS NULL AND NOT plan_id = ANY ($1::uuid[]) AND name <> 'victim'",
    [keep],
  );
  for (const { plan_id: planId } of plans) {
    const cancelled = await client.plans.cancel(planId);
    if (cancelled.kind === "error") problems.push(`plan ${planId} cannot be cancelled: ${cancelled.error.message}`);
  }
  await releaseStrangers(world);
  await untilCancelled(world, plans).catch((error: unknown) => problems.push(String(error)));
  return problems;
}

async function untilCancelled({ cluster }: World, plans: readonly { readonly plan_id: string }[]): Promise<void> {
  const ids = plans.map(({ plan_id: planId }) => planId);
  let left = "";
  await waitFor(
    async () => {
      const rows = await cluster.sql<{ state: string; n: string }>(
        "SELECT state, count(*) AS n FROM orchestrator.tasks JOIN orchestrator.plans USING (plan_id) WHERE plan_id = ANY ($1::uuid[]) AND outcome IS NULL GROUP BY state",
        [ids],
      );
      left = JSON.stringify(rows);
      return rows.length === 0;
    },
    { timeoutMs: 120_000, describe: () => `the plans of rubbish to end after they were cancelled; left: ${left}` },
  );
}

/** Reservations that no attempt of the orchestrator stands behind: their owner was rubbish. */
async function releaseStrangers({ cluster }: World): Promise<void> {
  const rows = await cluster.sql<{ attempt_id: string; fence: string }>(
    `SELECT attempt_id, fence FROM registry.reservations r
      WHERE state <> 'released'
        AND NOT EXISTS (SELECT FROM orchestrator.attempts a WHERE a.attempt_id = r.attempt_id)
        AND NOT EXISTS (SELECT FROM orchestrator.tasks t WHERE t.placing_attempt_id = r.attempt_id)`,
  );
  const service = await cluster.client.channels.client("registry", wire.CapacityServiceService);
  for (let from = 0; from < rows.length; from += 1_000) {
    const attempts = rows
      .slice(from, from + 1_000)
      .map(({ attempt_id: attemptId, fence }) => ({ attemptId, fence: Number(fence) }));
    await service.releaseCapacity(wire.ReleaseCapacityRequest.fromPartial({ attempts, reason: "after rubbish" }));
  }
  must(await cluster.client.queue.status());
}
