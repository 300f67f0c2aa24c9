import type { RunSql } from "../../support/run-sql.ts";
import type { Facts, RunFact, Violation } from "../../support/invariants/facts.ts";
import { readFacts } from "../../support/invariants/read-facts.ts";
import { runsOf } from "../../support/invariants/runs.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** The whole history of a world, for the checker of every random test. */
export async function readWorld(world: World, sql: RunSql, isOver: boolean): Promise<Facts> {
  return {
    ...(await readFacts(sql)),
    runs: world.machines.flatMap(trueRuns),
    accepted: world.planner.accepted,
    isOver,
    outages: [],
    untilMs: world.engine.wallMs,
  };
}

/** What the journal says, at the times that the machine knows: agents' clocks are wrong here. */
function trueRuns(machine: Machine): readonly RunFact[] {
  return runsOf(machine.agentId, machine.written).map((run) => {
    const executions = machine.executions.filter(({ attemptId }) => attemptId === run.attemptId);
    const lastEndMs = executions.at(-1)?.toMs ?? null;
    return {
      ...run,
      starts: executions.map(({ process, fromMs }) => ({ process, atMs: fromMs })),
      end: run.end === null || lastEndMs === null ? null : { ...run.end, atMs: lastEndMs },
    };
  });
}

/** V8 by what really ran: no two commands of one task at a time, whatever the journals lost. */
export function findDoubleExecutions({ machines, engine }: World): readonly Violation[] {
  const byTask = new Map<string, { fromMs: number; toMs: number; attemptId: string; machine: string }[]>();
  for (const machine of machines) {
    for (const { taskId, attemptId, fromMs, toMs } of machine.executions) {
      const own = byTask.get(taskId) ?? [];
      byTask.set(taskId, own);
      own.push({ fromMs, toMs: toMs ?? engine.wallMs, attemptId, machine: machine.name });
    }
  }
  const violations: Violation[] = [];
  for (const [taskId, own] of byTask) {
    own.sort((one, other) => one.fromMs - other.fromMs);
    for (const [index, after] of own.entries()) {
      const before = own[index - 1];
      if (before === undefined || after.fromMs >= before.toMs) continue;
      violations.push({
        invariant: "V8",
        what: `task ${taskId} ran twice at once: ${before.attemptId} on ${before.machine} until ${before.toMs}, ${after.attemptId} on ${after.machine} from ${after.fromMs}`,
      });
    }
  }
  return violations;
}
