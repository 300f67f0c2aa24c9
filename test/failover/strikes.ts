import { setTimeout as pause } from "node:timers/promises";
import { type SeededRandom, waitFor } from "@headroom/testing";
import { isAlive } from "../e2e/support/up-process.ts";
import type { PatroniNode } from "./patroni-node.ts";
import type { PostgresCluster } from "./postgres-cluster.ts";
import type { View } from "./view.ts";

/** A node that was the primary goes back to where the others are (pg_rewind) and follows within this time, or never. */
const rejoinMs = 45_000;

/**
 * What is done to the primary:
 * - `kill`: SIGKILL to PostgreSQL and Patroni, which come back some seconds later;
 * - `crash`: SIGKILL to PostgreSQL alone; Patroni starts it again where it was, or another node takes over;
 * - `freeze`: SIGSTOP to everything, SIGCONT some seconds later, when another node may be the primary;
 * - `switchover`: what an operator does before maintenance.
 */
export type StrikeKind = "kill" | "crash" | "freeze" | "switchover";

export interface Strike {
  readonly kind: StrikeKind;
  readonly atMs: number;
  readonly from: string;
  /** The primary when all was whole again; the same one if it was back in time. */
  readonly to: string;
  /** A node that did not find its way back, and was made anew from the primary. */
  readonly rebuilt: string | null;
}

export interface StrikesOptions {
  readonly postgres: PostgresCluster;
  readonly random: SeededRandom;
  readonly count: number;
  /** As `patronictl switchover`. */
  readonly switchOver: (from: PatroniNode, to: PatroniNode) => Promise<void>;
}

/** Strikes the primary again and again, under load; each time only when the cluster has come back to what it promises to survive. */
export async function strikePrimaries({
  postgres,
  random,
  count,
  switchOver,
}: StrikesOptions): Promise<readonly Strike[]> {
  const strikes: Strike[] = [];
  let kinds: StrikeKind[] = [];
  for (let number = 0; number < count; number += 1) {
    await pause(1_000 + random.next() * 2_000);
    const before = await postgres.whole();
    if (kinds.length === 0) kinds = shuffled(random, ["kill", "kill", "freeze", "switchover", "crash"]);
    const kind = kinds.pop()!;
    const victim = nodeNamed(postgres, before.leader);
    const atMs = Date.now();
    const blow: Readonly<Record<StrikeKind, () => Promise<void>>> = {
      kill: () => kill(victim, 500 + random.next() * 14_000),
      crash: () => crash(postgres, victim),
      freeze: () => freeze(victim, 2_000 + random.next() * 14_000),
      switchover: () => switchOver(victim, nodeNamed(postgres, before.syncStandby)),
    };
    await blow[kind]();
    const { view: after, rebuilt } = await wholeAgain(postgres);
    strikes.push({ kind, atMs, from: victim.name, to: after.leader ?? "nobody", rebuilt });
  }
  return strikes;
}

async function kill(victim: PatroniNode, awayMs: number): Promise<void> {
  await victim.kill9();
  await pause(awayMs);
  victim.start();
}

/** Resolves when PostgreSQL has been started again, or another node has taken over. */
async function crash(postgres: PostgresCluster, victim: PatroniNode): Promise<void> {
  // On a busy machine Patroni may give a primary up by itself just before: then it is to come back all the same.
  const killed = victim.postmasterPid();
  if (killed !== null && isAlive(killed)) process.kill(killed, "SIGKILL");
  await waitFor(
    async () => {
      const { leader } = (await postgres.view()) ?? { leader: null };
      return (leader !== null && leader !== victim.name) || ![killed, null].includes(victim.postmasterPid());
    },
    { timeoutMs: 120_000, describe: `a primary after the crash of ${victim.name}` },
  );
}

/**
 * What an operator waits for before the next fault. A node that needs WAL which nobody has any more is made anew. And where all nodes are well but none is
 * named as the synchronous standby, the primary is started again: Patroni 3.0.2 can hold an old revision of that key in etcd 3 for ever ("Synchronous
 * replication key updated by someone else", each second). Nobody can take its place meanwhile, so nothing can be lost by it.
 */
async function wholeAgain(postgres: PostgresCluster): Promise<{ view: View; rebuilt: string | null }> {
  const soon = await postgres.whole(rejoinMs).catch(() => null);
  if (soon !== null) return { view: soon, rebuilt: null };
  const seen = await postgres.view();
  const late = seen?.behind[0] ?? null;
  if (late !== null) await nodeNamed(postgres, late).rebuild();
  else if (seen !== null && seen.leader !== null && seen.syncStandby === null)
    await kill(nodeNamed(postgres, seen.leader), 0);
  return { view: await postgres.whole(), rebuilt: late };
}

async function freeze(victim: PatroniNode, frozenMs: number): Promise<void> {
  victim.freeze();
  await pause(frozenMs);
  victim.thaw();
}

function nodeNamed({ nodes }: PostgresCluster, name: string | null): PatroniNode {
  const node = nodes.find((one) => one.name === name);
  if (node === undefined) throw new Error(`no node is named ${name}`);
  return node;
}

function shuffled<T>(random: SeededRandom, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: random.next() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
