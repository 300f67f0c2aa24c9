/** Reads agents with all that belongs to them. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { EpochMs } from "@headroom/scheduling";
import type { StoredAgent } from "../stored-agent.ts";
import { agentFromRow, type AgentRow, selectAgents } from "./agent-row.ts";

const fleet = defineStatement<AgentRow>({
  name: "registry_load_fleet",
  text: `${selectAgents} WHERE a.removed_at IS NULL`,
});

const some = defineStatement<AgentRow>({
  name: "registry_load_agents",
  text: `${selectAgents} WHERE a.removed_at IS NULL AND a.agent_id = ANY ($1::uuid[])`,
});

interface LookRow {
  readonly now: number;
  readonly changed: boolean;
}

// Both are run once a second at most, and only while another registry process lives. Without an index on the times (they would cost each
// write more than this costs): 10,000 narrow rows are read in a few milliseconds.
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
  text: `${selectAgents}
   WHERE a.changed_at >= $1 OR l.changed_at >= $1 OR g.changed_at >= $1 OR s.changed_at >= $1`,
});

export async function loadFleet(db: Queryable): Promise<StoredAgent[]> {
  return (await db.query(fleet)).map(agentFromRow);
}

export async function loadAgents(db: Queryable, agentIds: readonly string[]): Promise<StoredAgent[]> {
  return (await db.query(some, [[...agentIds]])).map(agentFromRow);
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
    agents: rows.filter((row) => row.removed_at === null).map(agentFromRow),
    removedAgentIds: rows.filter((row) => row.removed_at !== null).map((row) => row.agent_id),
    nowMs: seen.now,
  };
}
