import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { RunSql } from "../support/run-sql.ts";

/** Writes all the time, on one connection, and notes when that worked: how long PostgreSQL was away, as an application sees it. */
export interface OutageWatch {
  /** Wall-clock times between two commits that are further apart than `leastMs`. */
  gaps(leastMs: number): readonly { readonly fromMs: number; readonly toMs: number }[];
  /** Stops, and tells which of the writes that PostgreSQL said were committed are not there. */
  end(sql: RunSql): Promise<{ readonly committed: number; readonly lost: readonly number[] }>;
}

const everyMs = 50;
const answersWithinMs = 1_500;

export async function watchOutages(connectionString: string, sql: RunSql): Promise<OutageWatch> {
  await sql(`CREATE SCHEMA outage_watch`);
  await sql(`CREATE TABLE outage_watch.writes (n integer PRIMARY KEY)`);
  const ended = new AbortController();
  const committedAtMs: number[] = [Date.now()];
  const committed: number[] = [];

  async function writeUntilItFails(client: pg.Client, next: () => number): Promise<void> {
    await client.connect();
    while (!ended.signal.aborted) {
      const n = next();
      await client.query("INSERT INTO outage_watch.writes (n) VALUES ($1)", [n]);
      committed.push(n);
      committedAtMs.push(Date.now());
      await pause(everyMs);
    }
  }

  const watching = (async () => {
    let n = 0;
    while (!ended.signal.aborted) {
      const client = new pg.Client({
        connectionString,
        application_name: "outage-watch",
        connectionTimeoutMillis: answersWithinMs,
        query_timeout: answersWithinMs,
      });
      client.on("error", () => undefined);
      try {
        await writeUntilItFails(client, () => (n += 1));
      } catch {
        await pause(everyMs);
      } finally {
        client.connection.stream.destroy();
      }
    }
  })();

  return {
    gaps: (leastMs) =>
      committedAtMs.slice(1).flatMap((toMs, index) => {
        const fromMs = committedAtMs[index]!;
        return toMs - fromMs > leastMs ? [{ fromMs, toMs }] : [];
      }),
    async end() {
      ended.abort();
      await watching;
      const there = new Set((await sql<{ n: number }>(`SELECT n FROM outage_watch.writes`)).map(({ n }) => n));
      return { committed: committed.length, lost: committed.filter((n) => !there.has(n)) };
    },
  };
}
