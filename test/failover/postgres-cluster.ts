import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { makeTempDir, waitFor } from "@headroom/testing";
import { freePorts } from "../e2e/support/free-ports.ts";
import { sqlOn } from "../e2e/support/sql.ts";
import type { RunSql } from "../support/run-sql.ts";
import { etcdMember } from "./etcd.ts";
import { haproxyMember } from "./haproxy.ts";
import { type PatroniNode, patroniNode } from "./patroni-node.ts";
import type { Programs } from "./programs.ts";
import { isConfirmed, readView, type View } from "./view.ts";

/** Three PostgreSQL nodes of which one is the primary, behind one address. */
export interface PostgresCluster {
  /** Of a user without special rights, through haproxy. */
  readonly connectionString: string;
  readonly nodes: readonly PatroniNode[];
  /** Where the output of every program lies. */
  readonly folder: string;
  /** Who is what, by the word of those that answer; null: nobody does. */
  view(): Promise<View | null>;
  /** A primary, a synchronous standby and a third node that follow it. */
  whole(timeoutMs?: number): Promise<View>;
  /** Ends everything and removes the folder. Idempotent. */
  stop(): Promise<void>;
}

/** On a machine that does much else. */
const wholeMs = 180_000;
const nodeNames = ["node-1", "node-2", "node-3"] as const;

/** Starts it and waits until it is whole. A start that fails leaves nothing behind. */
export async function startPostgresCluster(programs: Programs): Promise<PostgresCluster> {
  const dir = await makeTempDir("patroni");
  const password = randomBytes(16).toString("hex");
  const [etcdPort, etcdPeerPort, proxyPort, ...nodePorts] = await freePorts(3 + 2 * nodeNames.length);
  const etcd = etcdMember(programs.etcd, dir.path, { client: etcdPort!, peer: etcdPeerPort! });
  const nodes = nodeNames.map((name, index) =>
    patroniNode({
      programs,
      folder: dir.path,
      name,
      ports: { postgres: nodePorts[2 * index]!, rest: nodePorts[2 * index + 1]! },
      etcdPort: etcdPort!,
      password,
    }),
  );
  const haproxy = haproxyMember(programs.haproxy, dir.path, proxyPort!, nodes);
  const everyone = [haproxy, ...nodes, etcd];
  const urlOf = (user: string, database: string): string =>
    `postgresql://${user}:${password}@127.0.0.1:${proxyPort}/${database}`;

  const view = (): Promise<View | null> => readView(nodes);
  async function whole(timeoutMs = wholeMs): Promise<View> {
    const endsMs = performance.now() + timeoutMs;
    for (;;) {
      const seen = await view();
      if (seen?.isWhole === true && (await isConfirmed(nodes, seen))) return seen;
      if (performance.now() > endsMs) throw new Error(`the PostgreSQL cluster is not whole: ${JSON.stringify(seen)}`);
      // Each question costs Patroni a query.
      await pause(500);
    }
  }
  async function stop(): Promise<void> {
    for (const one of everyone) await one.kill9();
    await dir.remove();
  }

  try {
    etcd.start();
    await answers(`http://127.0.0.1:${etcdPort}/health`);
    for (const node of nodes) node.start();
    await whole();
    haproxy.start();
    await createDatabase(urlOf("postgres", "postgres"), password);
  } catch (error) {
    await stop();
    throw error;
  }
  return { connectionString: urlOf("headroom", "headroom"), nodes, folder: dir.path, view, whole, stop };
}

async function answers(url: string): Promise<void> {
  await waitFor(async () => (await fetch(url, { signal: AbortSignal.timeout(1_000) })).ok, {
    timeoutMs: 60_000,
    describe: url,
  });
}

/** haproxy takes every node for a primary until it has looked. */
const connectionsThatTell = 8;

async function createDatabase(superuserUrl: string, password: string): Promise<void> {
  const sql = sqlOn(superuserUrl);
  let inRow = 0;
  await waitFor(
    async () => {
      inRow = (await isPrimary(sql)) ? inRow + 1 : 0;
      return inRow >= connectionsThatTell;
    },
    { timeoutMs: 60_000, describe: "haproxy to reach the primary, and nothing else" },
  );
  await sql(`CREATE ROLE headroom LOGIN PASSWORD '${password}'`);
  await sql(`CREATE DATABASE headroom OWNER headroom`);
}

async function isPrimary(sql: RunSql): Promise<boolean> {
  try {
    const [row] = await sql<{ standby: boolean }>("SELECT pg_is_in_recovery() AS standby");
    return row?.standby === false;
  } catch {
    return false;
  }
}
