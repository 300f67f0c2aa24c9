import { createHeadroomClient, type HeadroomClient } from "@headroom/client";
import { type PrivatePostgres, startPrivatePostgres } from "@headroom/testing";
import { type Cluster, startCluster } from "../e2e/support/cluster.ts";
import { followJournals, type Journals } from "../e2e/support/journals.ts";
import type { ServiceMember } from "../e2e/support/members.ts";
import { sqlOn } from "../e2e/support/sql.ts";
import { installRecorder } from "../support/invariants/recorder.ts";
import { diskMib } from "./disk-faults.ts";
import { createFaultyNetwork, database, type FaultyNetwork } from "./faulty-network.ts";
import { createSmallDisks, type SmallDisks, whyNoSmallDisks } from "./small-disks.ts";

/** A whole Headroom of processes, in which everything can be broken. */
export interface Ground {
  readonly cluster: Cluster;
  readonly postgres: PrivatePostgres;
  readonly network: FaultyNetwork;
  /** Null: this machine allows none. */
  readonly disks: SmallDisks | null;
  readonly journals: Journals;
  /** Work planners, each with a faulty way of its own to all orchestrators. */
  readonly planners: readonly HeadroomClient[];
  /** Faults that this machine does not allow, and why. */
  readonly leftOut: readonly string[];
  /** Ends and removes all of it. Idempotent. */
  close(): Promise<void>;
}

/** Eight programs, on a machine that may have other things to do. */
const startMs = 300_000;
const registries = 2;
const orchestrators = 3;
const planners = 3;

const agents = [
  { cpuCores: 4, memoryGb: 8, gpus: [{ model: "RTX 4090", vramGb: 24 }] },
  { cpuCores: 4, memoryGb: 4 },
  { cpuCores: 2, memoryGb: 4, gpus: [{ model: "RTX 3060", vramGb: 12 }] },
] as const;

const env = {
  HEADROOM_LOG_LEVEL: "info",
  PAUSE_POLLING_INTERVAL_SECONDS: "2",
  PAUSE_ERROR_DELAY_SECONDS: "1",
  HEADROOM_CLAIM_LEASE_SECONDS: "2",
  // The machines declare what they have; the threshold would hold the last fifth of them back.
  PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
  // Each fault of an agent is a flap, and a machine on probation takes nothing for minutes.
  HEADROOM_FLAPS_TOLERATED: "1000",
};

const open = new Set<() => Promise<void>>();

/** For a program that is interrupted: ends and removes whatever is there. */
export async function closeAllGrounds(): Promise<void> {
  for (const close of open) await close();
}

/** Starts it and waits until it is ready. A start that fails leaves nothing behind. */
export async function prepareGround(): Promise<Ground> {
  const whyNot = whyNoSmallDisks();
  const disks = whyNot === null ? makeDisks() : null;
  const network = createFaultyNetwork();
  /** In the order in which it was made; undone in the reverse order. */
  const undo: (() => unknown)[] = [() => disks?.remove(), () => network.close()];
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= (async () => {
      open.delete(close);
      for (const step of undo.toReversed()) await step();
    })());
  open.add(close);
  try {
    const dir = disks?.disk(database).path;
    const postgres = await startPrivatePostgres(dir === undefined ? {} : { dir });
    undo.push(endWithUs(postgres), () => postgres.remove());
    const sql = sqlOn(postgres.connectionString);
    const cluster = await startCluster({
      label: "processes",
      startMs,
      database: { connectionString: postgres.connectionString, sql },
      registries,
      orchestrators,
      agents,
      env,
      ways: network,
      ...(disks !== null && { homeOf: (name: string) => disks.disk(name).path }),
    });
    undo.push(() => cluster.stop());
    const journals = followJournals(cluster.agents);
    undo.push(() => journals.close());
    await installRecorder(sql);
    const clients = await plannersOf(cluster, network);
    undo.push(() => clients.forEach((client) => client.close()));
    const leftOut = whyNot === null ? [] : [`disk full: ${whyNot}`];
    return { cluster, postgres, network, disks, journals, planners: clients, leftOut, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function makeDisks(): SmallDisks {
  const disks = createSmallDisks();
  disks.make(database, diskMib[database]);
  for (let n = 1; n <= registries; n += 1) disks.make(`registry-${n}`, diskMib.service);
  for (let n = 1; n <= orchestrators; n += 1) disks.make(`orchestrator-${n}`, diskMib.service);
  for (let n = 1; n <= agents.length; n += 1) disks.make(`agent-${n}`, diskMib.agent);
  return disks;
}

/** It would outlive a program that is interrupted. Answers how to forget that. */
function endWithUs(postgres: PrivatePostgres): () => void {
  const end = (): void => {
    if (postgres.pid() !== null) postgres.kill9();
  };
  process.once("exit", end);
  return () => process.off("exit", end);
}

async function plannersOf(cluster: Cluster, network: FaultyNetwork): Promise<readonly HeadroomClient[]> {
  const replicas = (members: readonly ServiceMember[]) =>
    members.map(({ name, grpcAddress }) => ({ name, address: grpcAddress }));
  const clients: HeadroomClient[] = [];
  for (let n = 1; n <= planners; n += 1) {
    const registry = await network.toService(`planner-${n}`, replicas(cluster.registries));
    const orchestrator = await network.toService(`planner-${n}`, replicas(cluster.orchestrators));
    const { tokenFile } = cluster;
    clients.push(
      createHeadroomClient({ registry, orchestrator, tokenFile, userAgent: "headroom-planner" }, { env: {} }),
    );
  }
  return clients;
}
