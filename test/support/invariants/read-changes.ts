import type { AttemptState, PauseState, ReservationState, TaskState } from "@headroom/scheduling";
import type { AgentChange, Change } from "./facts.ts";
import type { RunSql } from "../run-sql.ts";

interface ChangeRow {
  readonly seq: string;
  readonly commit: string;
  readonly at_ms: number;
  readonly what: "task" | "attempt" | "pause" | "reservation" | "liveness" | "agent" | "queue" | "event";
  readonly gone: boolean;
  /** As the recorder wrote it, by `what`. */
  readonly data: Readonly<Record<string, unknown>>;
}

interface ReservationData {
  readonly attempt_id: string;
  readonly agent_id: string;
  readonly state: ReservationState;
  readonly fence: number;
  readonly cpu_millicores: number;
  readonly memory_mib: number;
  readonly cards: readonly { readonly card_id: string; readonly vram_mib: number; readonly exclusive: boolean }[];
  readonly lease_expires_ms: number | null;
}

/** What the recorder wrote down, but for what is no hold of the queue; nothing where none was installed. */
export async function readChanges(sql: RunSql): Promise<readonly Change[]> {
  const [recorder] = await sql<{ there: boolean }>(`SELECT to_regclass('recorder.changes') IS NOT NULL AS there`);
  if (recorder?.there !== true) return [];
  const rows = await sql<ChangeRow>(
    `SELECT seq, commit::text AS commit, (extract(epoch FROM at) * 1000)::double precision AS at_ms, what, gone, data
       FROM recorder.changes WHERE what <> 'queue' OR (data->>'is_held')::boolean ORDER BY seq`,
  );
  const agents = new Agents();
  return rows.map((row) => changeOf(row, agents));
}

/** An agent's usability stands in two tables: each of them tells a part. */
class Agents {
  readonly #unusableFor = new Map<string, { liveness: readonly string[]; agent: readonly string[] }>();

  /** `reasons`: all that there may be, and whether they hold. */
  tell(
    agentId: string,
    part: "liveness" | "agent",
    reasons: Readonly<Record<string, boolean>>,
  ): Pick<AgentChange, "usable" | "unusableFor"> {
    const known = this.#unusableFor.get(agentId) ?? { liveness: ["not online"], agent: [] };
    known[part] = Object.keys(reasons).filter((reason) => reasons[reason]);
    this.#unusableFor.set(agentId, known);
    const unusableFor = [...known.liveness, ...known.agent];
    return { usable: unusableFor.length === 0, unusableFor };
  }
}

function changeOf({ seq, commit, at_ms: atMs, what, gone, data }: ChangeRow, agents: Agents): Change {
  const recorded = { seq: Number(seq), commit, atMs };
  switch (what) {
    case "task": {
      const row = data as { task_id: string; state: TaskState; fence: number; placing_attempt_id: string | null };
      const { task_id: taskId, state, fence, placing_attempt_id: placingAttemptId } = row;
      return { ...recorded, row: "task", taskId, state, fence, placingAttemptId };
    }
    case "attempt": {
      const {
        attempt_id: attemptId,
        task_id: taskId,
        state,
        fence,
      } = data as {
        attempt_id: string;
        task_id: string;
        state: AttemptState;
        fence: number;
      };
      return { ...recorded, row: "attempt", attemptId, taskId, state, fence };
    }
    case "pause": {
      const row = data as {
        pause_queue_id: string;
        task_id: string;
        status: PauseState;
        blocked: boolean;
        paused_ms: number;
        resume_after_ms: number | null;
      };
      return {
        ...recorded,
        row: "pause",
        pauseQueueId: row.pause_queue_id,
        taskId: row.task_id,
        status: row.status,
        pausedAtMs: row.paused_ms,
        resumeAfterMs: row.resume_after_ms,
        blocked: row.blocked,
      };
    }
    case "event": {
      const row = data as { event_id: number; plan_id: string };
      return { ...recorded, row: "event", eventId: row.event_id, planId: row.plan_id, gone };
    }
    case "queue":
      return { ...recorded, row: "queue", held: !gone };
    case "reservation": {
      const row = data as unknown as ReservationData;
      const cards = row.cards.map((card) => ({
        cardId: card.card_id,
        vramMib: card.vram_mib,
        exclusive: card.exclusive,
      }));
      return {
        ...recorded,
        row: "reservation",
        attemptId: row.attempt_id,
        agentId: row.agent_id,
        state: gone ? "gone" : row.state,
        fence: row.fence,
        amounts: { cpuMillicores: row.cpu_millicores, memoryMib: row.memory_mib, cards },
        leaseExpiresAtMs: row.lease_expires_ms,
      };
    }
    case "liveness": {
      const row = data as {
        agent_id: string;
        status: string;
        attached: boolean;
        owner_hold: boolean;
        on_probation: boolean;
      };
      const reasons = {
        "not online": gone || row.status !== "online",
        "not attached": !row.attached,
        held: row.owner_hold,
        "on probation": row.on_probation,
      };
      const usability = agents.tell(row.agent_id, "liveness", reasons);
      return { ...recorded, row: "agent", agentId: row.agent_id, ...usability, status: row.status };
    }
    case "agent": {
      const row = data as { agent_id: string; cordoned: boolean; draining: boolean };
      const reasons = { removed: gone, cordoned: row.cordoned, draining: row.draining };
      const usability = agents.tell(row.agent_id, "agent", reasons);
      return { ...recorded, row: "agent", agentId: row.agent_id, ...usability, status: null };
    }
  }
}
