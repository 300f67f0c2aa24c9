/** Reads agents with all that belongs to them. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { EpochMs } from "@headroom/scheduling";
import type { StoredAgent } from "../stored-agent.ts";
import { agentsFromRows, type AgentRow, selectAgents, selectAgentsSince } from "./agent-row.ts";

const sizes = defineStatement<{ readonly agent_id: string; readonly reservations: number }>({
  name: "registry_count_fleet",
  text: `
  SELECT a.agent_id, count(r.attempt_id) AS reservations
    FROM agents a
    LEFT JOIN reservations r ON r.agent_id = a.agent_id AND (r.released_at IS NULL OR r.released_at >= $1)
   WHERE a.removed_at IS NULL GROUP BY a.agent_id`,
});
/** Agents and reservations that are read by one statement: half a second of work, of the 30 s that it may take. More only where one agent has more. */
const portionSize = 20_000;

const some = defineStatement<AgentRow>({
  name: "registry_load_agents",
  text: `${selectAgents} WHERE a.removed_at IS NULL AND a.agent_id = ANY ($1::uuid[])`,
});

const portion = defineStatement<AgentRow>({
  name: "registry_load_portion",
  text: `${selectAgentsSince("$2")} WHERE a.removed_at IS NULL AND a.agent_id = ANY ($1::uuid[])`,
});

interface LookRow {
  readonly now: number;
  readonly changed: boolean;
}

// Both are run once a second, and sooner when another registry process tells of samples, as long as that takes no more than a fifth of the time
// (`look-pace.ts`). Without an index on the times (they would cost each write more than this costs): 10,000 narrow rows are read in a few milliseconds.
const look = defineStatement<LookRow>({
  name: "registry_look_for_changes",
  answerWithinMs: 5_000,
  text: `
  SELECT now() AS now,
         EXISTS (SELECT FROM agent_samples WHERE changed_at >= $1)
      OR EXISTS (SELECT FROM agent_liveness WHERE changed_at >= $1)
      OR EXISTS (SELECT FROM agent_guards WHERE changed_at >= $1)
      OR EXISTS (SELECT FROM agents WHERE changed_at >= $1) AS changed`,
});

const changed = defineStatement<AgentRow>({
  name: "registry_load_changed",
  answerWithinMs: 10_000,
  text: `${selectAgentsSince("$1")}
   WHERE a.changed_at >= $1 OR l.changed_at >= $1 OR g.changed_at >= $1 OR s.changed_at >= $1`,
});

/**
 * In portions: ten minutes of tombstones are a million rows where a thousand tasks end each second, and no single statement has the time to read
 * them. An agent's row and its reservations are of one snapshot.
 */
export async function loadFleet(db: Queryable, tombstonesSinceMs: EpochMs | null): Promise<StoredAgent[]> {
  const since = new Date(tombstonesSinceMs ?? 0);
  const agents: StoredAgent[] = [];
  let agentIds: string[] = [];
  let size = 0;
  const load = async (): Promise<void> => {
    agents.push(...agentsFromRows(await db.query(portion, [agentIds, since])));
    agentIds = [];
    size = 0;
  };
  for (const { agent_id, reservations } of await db.query(sizes, [since])) {
    if (agentIds.length > 0 && size + reservations >= portionSize) await load();
    agentIds.push(agent_id);
    size += 1 + reservations;
  }
  if (agentIds.length > 0) await load();
  return agents;
}

export async function loadAgents(db: Queryable, agentIds: readonly string[]): Promise<StoredAgent[]> {
  return agentsFromRows(await db.query(some, [[...agentIds]]));
}

/** The time at which it was certainly true is asked with whether there is anything to load: mostly there is not. */
export async function loadChangedSince(
  db: Queryable,
  sinceMs: EpochMs,
): Promise<{ agents: StoredAgent[]; removedAgentIds: string[]; nowMs: EpochMs }> {
  const since = new Date(sinceMs);
  const [seen] = await db.query(look, [since]);
  if (seen === undefined) throw new Error("the look for changes returned no row");
  const rows = seen.changed ? await db.query(changed, [since]) : [];
  return {
    agents: agentsFromRows(rows.filter((row) => row.removed_at === null)),
    removedAgentIds: rows.filter((row) => row.removed_at !== null && row.part === 0).map((row) => row.agent_id),
    nowMs: seen.now,
  };
}
