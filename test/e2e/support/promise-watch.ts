import { setTimeout as pause } from "node:timers/promises";
import type { RunSql } from "../../support/run-sql.ts";

export interface PromiseWatch {
  /** Stops looking and tells what was seen. */
  end(): Promise<{
    readonly looks: number;
    readonly overPromised: readonly string[];
    readonly mostPromisedMillicores: number;
  }>;
}

interface AgentRow {
  readonly agent_id: string;
  readonly cpu_promised: string;
  readonly cpu_total: string;
  readonly memory_promised: string;
  readonly memory_total: string;
  readonly vram_promised: string;
  readonly vram_total: string;
}

/** What is promised on each agent beside what it declared, of one moment. */
const look = `
  SELECT s.agent_id, s.cpu_total_millicores AS cpu_total, s.memory_total_mib AS memory_total, s.vram_total_mib AS vram_total,
         coalesce(sum(r.cpu_millicores), 0) AS cpu_promised, coalesce(sum(r.memory_mib), 0) AS memory_promised,
         coalesce(sum((SELECT sum((card->>'vram_mib')::bigint) FROM jsonb_array_elements(r.cards) AS card)), 0) AS vram_promised
    FROM registry.agent_samples s
    LEFT JOIN registry.reservations r ON r.agent_id = s.agent_id AND r.state <> 'released'
   GROUP BY s.agent_id, s.cpu_total_millicores, s.memory_total_mib, s.vram_total_mib`;

/** Looks again and again, while a burst runs, whether the sums of what is promised stay within the machines. */
export function watchPromises(sql: RunSql): PromiseWatch {
  const ended = new AbortController();
  let looks = 0;
  let mostPromisedMillicores = 0;
  const overPromised: string[] = [];
  const looking = (async () => {
    while (!ended.signal.aborted) {
      for (const row of await sql<AgentRow>(look)) {
        mostPromisedMillicores = Math.max(mostPromisedMillicores, Number(row.cpu_promised));
        for (const [what, promised, total] of [
          ["cpu", row.cpu_promised, row.cpu_total],
          ["memory", row.memory_promised, row.memory_total],
          ["vram", row.vram_promised, row.vram_total],
        ] as const) {
          if (Number(promised) > Number(total)) overPromised.push(`${row.agent_id}: ${what} ${promised} of ${total}`);
        }
      }
      looks += 1;
      await pause(50);
    }
  })();
  return {
    async end() {
      ended.abort();
      await looking;
      return { looks, overPromised, mostPromisedMillicores };
    },
  };
}
