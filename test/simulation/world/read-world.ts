import type { RunSql } from "../../support/run-sql.ts";
import type { Facts, RunFact, Violation } from "../../support/invariants/facts.ts";
import { readFacts } from "../../support/invariants/read-facts.ts";
import { runsOf } from "../../support/invariants/runs.ts";
import type { Told } from "./find-unkept.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** The whole history of a world, for the checker of every random test. */
export async function readWorld(world: World, sql: RunSql, isOver: boolean): Promise<Facts> {
  const aheadMs = world.postgres.nowMs - world.engine.wallMs;
  return {
    ...(await readFacts(sql)),
    runs: world.machines.flatMap((machine) => trueRuns(machine, aheadMs)),
    accepted: world.planner.accepted,
    isOver,
    outages: [],
    stalls: [...world.stalls, ...unwritten(world)],
    silences: world.silences,
    threshold: world.threshold,
    untilMs: world.postgres.nowMs,
  };
}

/** What callers and agents were told has been done, by the database's clock. */
export function toldIn({ told, machines, postgres, engine }: World): readonly Told[] {
  const aheadMs = postgres.nowMs - engine.wallMs;
  const ended = machines.flatMap(({ acked }) =>
    acked.map(({ attemptId, fence, atMs }): Told => ({ what: "ended", attemptId, fence, atMs: atMs + aheadMs })),
  );
  return [...told, ...ended];
}

/** A registry tries every second again to write what it knows of agents, and promises room by what it knows. */
const writtenAgainMs = 2_000;

/** What it knew in between may never have been written: only its newest word is. */
function unwritten({ postgres }: World): NonNullable<Facts["stalls"]> {
  return postgres.failures
    .filter(({ statement }) => statement === "registry_write_statuses")
    .map(({ atMs }) => ({ fromMs: atMs, toMs: atMs + writtenAgainMs }));
}

/**
 * What the journal says, at the times that the machine knows, by the database's clock: agents' clocks are wrong here. Of a command that slept only what came before
 * counts here; `findDoubleExecutions` looks at all of it.
 */
function trueRuns(machine: Machine, aheadMs: number): readonly RunFact[] {
  return runsOf(machine.agentId, machine.written).map((run) => {
    const executions = machine.executions.filter(({ attemptId }) => attemptId === run.attemptId);
    const last = executions.at(-1);
    // What was never started ended when the agent said so.
    const endedMs = (last === undefined ? machine.endWrittenAtMs.get(run.attemptId) : last.spans[0]?.toMs) ?? null;
    return {
      ...run,
      starts: executions.map(({ process, fromMs }) => ({ process, atMs: fromMs + aheadMs })),
      end: run.end === null || endedMs === null ? null : { ...run.end, atMs: endedMs + aheadMs },
    };
  });
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly attemptId: string;
  readonly machine: string;
  /** It had slept before: what goes on after a sleep that nobody announced is stopped within a moment. */
  readonly isAfterSleep: boolean;
}

/** V8, sharper: what was given up for lost runs no longer, and what slept through that is stopped within a moment of its waking. */
export function findRunsOfLost({ machines, engine, postgres }: World, { changes }: Facts): readonly Violation[] {
  const aheadMs = postgres.nowMs - engine.wallMs;
  const lostAtMs = new Map(
    changes.flatMap((change) =>
      change.row === "attempt" && change.state === "lost" ? [[change.attemptId, change.atMs - aheadMs] as const] : [],
    ),
  );
  return machines.flatMap(({ name, executions }) =>
    executions.flatMap(({ attemptId, spans }) => {
      const lostMs = lostAtMs.get(attemptId);
      if (lostMs === undefined) return [];
      return spans.flatMap(({ fromMs, toMs }) => {
        const overMs = (toMs ?? engine.wallMs) - Math.max(lostMs, fromMs);
        if (overMs <= noticedWithinMs) return [];
        const what = `attempt ${attemptId} was lost at ${Math.round(lostMs)} and ran on ${name} for ${Math.round(overMs)} ms more`;
        return [{ invariant: "V8" as const, what }];
      });
    }),
  );
}

/** Of an agent's looks at its leases, and of what it takes to stop processes. */
const noticedWithinMs = 3_000;

/** V8 by what really ran: no two commands of one task at a time, whatever the journals lost. */
export function findDoubleExecutions({ machines, engine }: World): readonly Violation[] {
  const byTask = new Map<string, Span[]>();
  for (const machine of machines) {
    for (const { taskId, attemptId, spans } of machine.executions) {
      const own = byTask.get(taskId) ?? [];
      byTask.set(taskId, own);
      for (const [index, { fromMs, toMs }] of spans.entries()) {
        const isAfterSleep = index > 0;
        own.push({ fromMs, toMs: toMs ?? engine.wallMs, attemptId, machine: machine.name, isAfterSleep });
      }
    }
  }
  const violations: Violation[] = [];
  for (const [taskId, own] of byTask) {
    own.sort((one, other) => one.fromMs - other.fromMs);
    for (const [index, after] of own.entries()) {
      for (const before of own.slice(0, index)) {
        const togetherMs = Math.min(before.toMs, after.toMs) - after.fromMs;
        const allowedMs = before.isAfterSleep || after.isAfterSleep ? noticedWithinMs : 0;
        if (before.attemptId === after.attemptId || togetherMs <= allowedMs) continue;
        violations.push({
          invariant: "V8",
          what: `task ${taskId} ran twice at once for ${Math.round(togetherMs)} ms: ${before.attemptId} on ${before.machine} until ${before.toMs}, ${after.attemptId} on ${after.machine} from ${after.fromMs}`,
        });
      }
    }
  }
  return violations;
}
