/** What a fleet costs the database: rows and bytes of WAL per agent and minute, quiet and busy. */
import { defineStatement, type Database } from "@headroom/postgres";
import { type Bench, pause, progress } from "./support/bench.ts";
import { ClientFleet, type Server, startPostgres, startRegistry } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const MAX_QUIET_ROWS = 2;
/** A quiet agent sends one sample a minute, which nothing has changed; of a busy one, one beat in five carries a changed sample. */
const CHANGED_SHARE = { quiet: 0, busy: 0.2 };

interface Written {
  readonly rows: number;
  readonly walBytes: number;
}

const countWrites = defineStatement<{ readonly rows: number; readonly wal_bytes: number }>({
  name: "bench_count_writes",
  text: `
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::float8 AS rows,
       (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8 AS wal_bytes
  FROM pg_stat_user_tables WHERE schemaname = 'registry'`,
});

export const heartbeatWrites: Bench = async ({ quick }) => {
  const agents = quick ? 300 : 1_000;
  const postgres = await startPostgres();
  const registry = await startRegistry(postgres.url);
  const fleet = await ClientFleet.start({ processes: 2, agents });
  await fleet.join(registry.address);
  // An idle backend tells what it wrote up to 10 s later: what joining wrote must not be counted.
  await pause(11_000);
  const quiet = await measure("quiet", fleet, registry, postgres.db, agents, quick);
  const busy = await measure("busy", fleet, registry, postgres.db, agents, quick);
  return {
    bench: "heartbeat-writes",
    ratio: rounded(quiet.rows / MAX_QUIET_ROWS),
    value: quiet.rows,
    limit: MAX_QUIET_ROWS,
    unit: "rows written per agent and minute, quiet fleet",
    target: `<= ${MAX_QUIET_ROWS} rows`,
    reached: quiet.rows <= MAX_QUIET_ROWS,
    agents,
    quiet_wal_bytes: quiet.walBytes,
    busy_rows: busy.rows,
    busy_wal_bytes: busy.walBytes,
  };
};

/** Per agent and minute, the process's own rows included; the median of the windows. */
async function measure(
  kind: keyof typeof CHANGED_SHARE,
  fleet: ClientFleet,
  registry: Server,
  db: Database,
  agents: number,
  quick: boolean,
): Promise<Written> {
  const windows = quick ? 1 : 5;
  const windowMs = quick ? 4_000 : 30_000;
  await fleet.pause(registry.address);
  await fleet.beatAsTold(registry.address, CHANGED_SHARE[kind]);
  await pause(quick ? 3_000 : 10_000);
  const found: Written[] = [];
  for (let window = 0; window < windows; window += 1) {
    const startedAt = performance.now();
    const before = await counted(db);
    await pause(windowMs);
    const after = await counted(db);
    const agentMinutes = (agents * (performance.now() - startedAt)) / 60_000;
    const per = (figure: keyof Written): number => rounded((after[figure] - before[figure]) / agentMinutes);
    found.push({ rows: per("rows"), walBytes: per("walBytes") });
    progress(`${kind}: ${found.at(-1)?.rows} rows, ${found.at(-1)?.walBytes} bytes of WAL per agent and minute`);
  }
  return { rows: median(found.map(({ rows }) => rows)), walBytes: median(found.map(({ walBytes }) => walBytes)) };
}

/** Busy backends tell what they wrote within a second or so, which is the same at both ends of a window. */
async function counted(db: Database): Promise<Written> {
  const [row] = await db.query(countWrites, []);
  if (row === undefined) throw new Error("no statistics");
  return { rows: row.rows, walBytes: row.wal_bytes };
}
