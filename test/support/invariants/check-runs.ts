import { type Amounts, type EpochMs, NO_AMOUNTS } from "@headroom/scheduling";
import type { Facts, RunFact, Violation } from "./facts.ts";
import { overfull, plus } from "./room.ts";
import { groupBy, pairs } from "./timeline.ts";

/** V7: what the agents' journals say ran was assigned, to that agent, under that fence, and was started once. */
export function checkRunsAssigned({ runs, attempts }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V7", what });
  const known = new Map(attempts.map((attempt) => [attempt.attemptId, attempt]));
  for (const [attemptId, own] of groupBy(runs, (run) => run.attemptId)) {
    const agents = new Set(own.map(({ agentId }) => agentId));
    if (agents.size > 1) found(`attempt ${attemptId} was taken by ${agents.size} agents: ${[...agents].join(", ")}`);
    const processes = new Set(own.flatMap(({ starts }) => starts.map(({ process }) => process)));
    if (processes.size > 1)
      found(`attempt ${attemptId} was started ${processes.size} times: ${[...processes].join(", ")}`);
    const attempt = known.get(attemptId);
    if (attempt === undefined) {
      found(`attempt ${attemptId} ran on ${[...agents].join(", ")} and was never recorded`);
      continue;
    }
    for (const { agentId, fences } of own) {
      if (agentId !== attempt.agentId) found(`attempt ${attemptId} is ${attempt.agentId}'s and ran on ${agentId}`);
      const highest = Math.max(0, ...fences);
      if (highest > attempt.fence)
        found(`attempt ${attemptId} ran under fence ${highest}; recorded is ${attempt.fence}`);
    }
  }
  return violations;
}

/** From start to end as far as it is known; a run whose end nobody saw is left out. */
function spanOf(run: RunFact): { readonly fromMs: EpochMs; readonly toMs: EpochMs } | null {
  const [first] = run.starts;
  return first === undefined || run.end === null ? null : { fromMs: first.atMs, toMs: run.end.atMs };
}

/** V8: no two runs of one task at a time, and at most one of them counts. */
export function checkRunsOnce({ runs, attempts, tasks, events }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V8", what });
  for (const [taskId, own] of groupBy(runs, (run) => run.taskId)) {
    const spans = own
      .flatMap((run) => {
        const span = spanOf(run);
        return span === null ? [] : [{ ...span, attemptId: run.attemptId }];
      })
      .sort((a, b) => a.fromMs - b.fromMs);
    for (const [before, after] of pairs(spans)) {
      if (after.fromMs < before.toMs) {
        found(
          `task ${taskId} ran twice at once: ${before.attemptId} until ${before.toMs}, ${after.attemptId} from ${after.fromMs}`,
        );
      }
    }
  }
  const succeeded = groupBy(
    attempts.filter(({ state }) => state === "succeeded"),
    ({ taskId }) => taskId,
  );
  const retried = groupBy(
    events.filter(({ from }) => from === "failed" || from === "cancelled"),
    ({ taskId }) => taskId,
  );
  for (const { taskId, name, state } of tasks) {
    const counted = succeeded.get(taskId)?.length ?? 0;
    if (counted > 1 + (retried.get(taskId)?.length ?? 0)) found(`task ${name} (${taskId}) succeeded ${counted} times`);
    if (state === "succeeded" && counted === 0) found(`task ${name} (${taskId}) succeeded without an attempt that did`);
  }
  return violations;
}

/** V9, seen from the machines: an attempt counts as succeeded only if its agent saw its command end with 0. */
export function checkResultsReal({ runs, attempts }: Facts): readonly Violation[] {
  const ofAttempt = groupBy(runs, (run) => run.attemptId);
  return attempts
    .filter(({ state }) => state === "succeeded")
    .flatMap(({ attemptId, fence }) => {
      const end = ofAttempt.get(attemptId)?.find((run) => run.end !== null)?.end ?? null;
      const isReal = end !== null && end.exitCode === 0 && end.fence === fence;
      if (isReal) return [];
      const saw = end === null ? "no end of it" : `${end.outcome} ${end.exitCode ?? ""} under fence ${end.fence}`;
      return [{ invariant: "V9" as const, what: `attempt ${attemptId} (fence ${fence}) counts; its agent saw ${saw}` }];
    });
}

/** V27, seen from the machines: a result that an agent was told to forget is in the tables, or was refused there. */
export function checkAcked({ runs, attempts, events, isOver }: Facts): readonly Violation[] {
  if (!isOver) return [];
  const known = new Map(attempts.map((attempt) => [attempt.attemptId, attempt]));
  const refused = new Set(events.flatMap(({ kind, attemptId }) => (kind === "TASK_RESULT_REFUSED" ? [attemptId] : [])));
  return runs.flatMap(({ attemptId, agentId, end, isAcked }) => {
    const attempt = known.get(attemptId);
    if (!isAcked || end === null || attempt === undefined) return [];
    if (["succeeded", "failed", "cancelled"].includes(attempt.state) || refused.has(attemptId)) return [];
    const what = `attempt ${attemptId} is ${attempt.state}, and ${agentId} was told that its result (${end.outcome}) is durable`;
    return [{ invariant: "V27" as const, what }];
  });
}

/** V11: what runs on a machine at a time fits into it. */
export function checkRunsFit({ runs, machines }: Facts): readonly Violation[] {
  const byId = new Map(machines.map((machine) => [machine.agentId, machine]));
  const violations: Violation[] = [];
  for (const [agentId, own] of groupBy(runs, (run) => run.agentId)) {
    const machine = byId.get(agentId);
    if (machine === undefined) continue;
    const edges = own.flatMap((run) => {
      const span = spanOf(run);
      if (span === null || span.toMs <= span.fromMs) return [];
      return [
        { atMs: span.fromMs, begins: true, run },
        { atMs: span.toMs, begins: false, run },
      ];
    });
    // What ends makes room for what begins in the same millisecond.
    edges.sort((a, b) => a.atMs - b.atMs || Number(a.begins) - Number(b.begins));
    const running = new Set<RunFact>();
    for (const { atMs, begins, run } of edges) {
      if (begins) running.add(run);
      else running.delete(run);
      const sum = [...running].reduce<Amounts>((total, { reserved }) => plus(total, reserved), NO_AMOUNTS);
      const problem = begins ? overfull(machine, sum) : null;
      if (problem !== null) violations.push({ invariant: "V11", what: `at ${atMs} agent ${agentId} ran ${problem}` });
    }
  }
  return violations;
}
