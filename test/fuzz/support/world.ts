/** A whole Headroom of real processes: an agent that nobody may disturb, and one that is fair game. */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { wire } from "@headroom/client";
import { waitFor } from "@headroom/testing";
import { checkoutDir } from "../../e2e/support/built-command.ts";
import { type Cluster, startCluster } from "../../e2e/support/cluster.ts";
import type { ServiceMember } from "../../e2e/support/members.ts";
import { must } from "../../e2e/support/results.ts";
import type { Meaningful } from "../messages/arbitrary.ts";

/** The pool of the agent that runs what must not be disturbed. Never told to those who make rubbish. */
export const quietPool = "quiet";
export const victimPool = "victims";
/** No agent is in it: what is asked of it waits. */
export const emptyPool = "nobody-here";

export interface World {
  readonly cluster: Cluster;
  readonly token: string;
  readonly probesDir: string;
  readonly services: readonly ServiceMember[];
  /** Of the quiet agent. */
  readonly quietAgentId: string;
  /** Ids and words that rubbish may be made of. */
  readonly known: Meaningful;
  readonly victim: Victim;
  stop(): Promise<void>;
}

/** Ids that exist, for requests that are nearly right. */
export interface Victim {
  readonly agentId: string;
  readonly planId: string;
  readonly taskId: string;
  readonly attemptId: string;
  readonly joinTokenId: string;
  readonly joinToken: string;
}

/** Its database is a fresh one on the server that TEST_DATABASE_URL names. */
export async function startWorld(): Promise<World> {
  const probesDir = join(tmpdir(), `headroom-probes-${process.pid}`);
  mkdirSync(probesDir, { recursive: true });
  const probe = pathToFileURL(join(checkoutDir, "test/fuzz/programs/probe.mjs")).href;
  const cluster = await startCluster({
    label: "fuzz",
    // A long run has time, also on a machine that is busy.
    startMs: 300_000,
    agents: [quietPool, victimPool].map((pool) => ({
      cpuCores: 8,
      memoryGb: 16,
      gpus: [{ model: "A4000", vramGb: 16 }],
      env: { HEADROOM_AGENT_POOL: pool },
    })),
    env: {
      NODE_OPTIONS: `--import ${probe}`,
      HEADROOM_FUZZ_PROBES: probesDir,
      // As it runs in production: what rubbish writes into the log is looked at.
      HEADROOM_LOG_LEVEL: "info",
    },
  });
  try {
    const [quietAgentId, victimAgentId] = await agentIds(cluster);
    const victim = await makeVictim(cluster, victimAgentId);
    return {
      cluster,
      token: readFileSync(cluster.tokenFile, "utf8").trim(),
      probesDir,
      services: [cluster.registry, cluster.orchestrator],
      quietAgentId,
      victim,
      known: meaningful(victim),
      async stop() {
        await cluster.stop();
        rmSync(probesDir, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function agentIds({ client }: Cluster): Promise<[string, string]> {
  const { agents } = must(await client.fleet.list());
  const idIn = (pool: string): string => agents.find(({ capacity }) => capacity?.poolName === pool)!.agentId;
  return [idIn(quietPool), idIn(victimPool)];
}

async function makeVictim(cluster: Cluster, agentId: string): Promise<Victim> {
  const planned = must(
    await cluster.client.plans.dispatch({
      name: "victim",
      tasks: [
        { name: "done", command: { argv: ["true"] }, needs: { cpuCores: 1, pool: victimPool } },
        { name: "waits", command: { argv: ["true"] }, needs: { cpuCores: 1, pool: emptyPool } },
      ],
    }),
  );
  const fleet = await cluster.client.channels.client("registry", wire.FleetServiceService);
  const made = await fleet.createJoinToken(
    wire.CreateJoinTokenRequest.fromPartial({ poolName: victimPool, maxUses: 1_000 }),
  );
  const { planId, tasks } = planned;
  const attempts = await waitFor(
    async () => {
      const rows = await cluster.sql<{ attempt_id: string }>(
        "SELECT attempt_id FROM orchestrator.attempts WHERE plan_id = $1",
        [planId],
      );
      return rows.length > 0 ? rows : undefined;
    },
    { timeoutMs: 30_000, describe: () => `the victim's task to have an attempt\n${cluster.logs()}` },
  );
  return {
    agentId,
    planId,
    taskId: tasks[1]!.taskId,
    attemptId: attempts[0]!.attempt_id,
    joinTokenId: made.tokenId,
    joinToken: made.joinToken,
  };
}

function meaningful({ agentId, planId, taskId, attemptId, joinTokenId }: Victim): Meaningful {
  const strangers = Array.from({ length: 5 }, (_, n) => `00000000-0000-4000-8000-0000000000a${n}`);
  return {
    ids: [agentId, planId, taskId, attemptId, joinTokenId, ...strangers],
    texts: ["a", "victim", victimPool, emptyPool, "A4000", "true", "cpu_cores_available desc", "best_fit"],
  };
}
