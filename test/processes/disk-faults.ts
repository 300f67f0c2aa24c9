import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "@headroom/testing";
import { between, type Fault, type NamedFault, oneOf, shuffled } from "./fault.ts";
import { database } from "./faulty-network.ts";
import { databaseRecoveryMs } from "./process-faults.ts";

/** Sizes that hold what a run writes, and are soon full. */
export const diskMib = { service: 32, agent: 32, [database]: 400 } as const;

/** Its journal, the output of its tasks and its log: no work is taken, and what runs ends as ever. */
const agentDisk: Fault = async (field) => {
  const { cluster, disks, random } = field;
  const forMs = between(random, 3_000, 10_000);
  for (const agent of shuffled(random, cluster.agents)) {
    const disk = disks?.disk(agent.name);
    const taken = field.take(agent);
    if (taken === null || disk === undefined) {
      taken?.giveBack();
      continue;
    }
    disk.fill();
    await pause(forMs);
    disk.free();
    // What it owes its journal is written within a second or two; killed before, it could not say what it has told.
    await pause(3_000);
    taken.giveBack();
    return `${agent.name} for ${forMs} ms`;
  }
  return null;
};

/** Where a service writes its log. It may be killed meanwhile, and started again. */
const serviceDisk: Fault = async ({ cluster, disks, random }) => {
  const forMs = between(random, 3_000, 10_000);
  const member = oneOf(random, [...cluster.registries, ...cluster.orchestrators]);
  const disk = disks?.disk(member.name);
  if (disk === undefined || !disk.fill()) return null;
  await pause(forMs);
  disk.free();
  return `${member.name} for ${forMs} ms`;
};

const databaseDisk: Fault = async (field) => {
  const { cluster, disks, random } = field;
  const forMs = between(random, 2_000, 6_000);
  const disk = disks?.disk(database);
  const taken = field.takeDatabase();
  if (taken === null || disk === undefined) {
    taken?.giveBack();
    return null;
  }
  const ended = field.outage(databaseRecoveryMs);
  disk.fill();
  await pause(forMs);
  disk.free();
  await waitFor(async () => (await cluster.sql("SELECT 1 AS one")).length === 1, { timeoutMs: 60_000 });
  ended();
  taken.giveBack();
  return `for ${forMs} ms`;
};

export const diskFaults: readonly NamedFault[] = [
  ["disk full, agent", agentDisk],
  ["disk full, agent", agentDisk],
  ["disk full, service", serviceDisk],
  ["disk full, PostgreSQL", databaseDisk],
];
