import type { Counter, Logger } from "@headroom/runtime";
import { type Gate, type GateAnswer, logDecision } from "../placing/gate.ts";
import type { Held, Placed, Placer } from "../placing/placer.ts";
import type { Claimer, OrchestratorStore } from "../store/port.ts";

export interface ResumerOptions {
  readonly store: OrchestratorStore;
  readonly gate: Gate;
  readonly placer: Placer;
  readonly claimer: Claimer;
  readonly logger: Logger;
  readonly planChanged: (planId: string) => void;
  readonly metrics: { readonly passes: Counter<"result">; readonly resumed: Counter };
}

export interface PassRequest {
  /** Null: of all plans. */
  readonly planId: string | null;
  readonly cause: string;
  /** Rows that keep their reason are not written again if they were checked within this time. 0: every row that was looked at says so. */
  readonly freshMs: number;
  readonly signal: AbortSignal;
}

export interface PassResult {
  readonly resumed: number;
  readonly waiting: number;
  readonly endedAt: "registry away" | "done" | "stopped";
}

/** One pass over the queue (R-PAUSE-6). */
export interface Resumer {
  pass(request: PassRequest): Promise<PassResult>;
}

const smallestClaim = 16;
const largestClaim = 500;
/** A pass that had to go on longer than this gives way: the loop begins another one at once. */
const maxRounds = 1_000;

export function createResumer(options: ResumerOptions): Resumer {
  return {
    async pass(request) {
      try {
        const result = await runPass(options, request);
        options.metrics.passes.inc({ result: "ok" });
        return result;
      } catch (error) {
        options.metrics.passes.inc({ result: "error" });
        throw error;
      }
    },
  };
}

async function runPass(options: ResumerOptions, request: PassRequest): Promise<PassResult> {
  const { store, logger } = options;
  const orphans = await resumeOrphans(options, request);
  const due = await store.countDue(request.planId);
  const answers = judge(options, due);
  await markHeld(store, request, answers);
  const rounds = await resumeDue(options, request, answers);
  const resumed = rounds.resumed + orphans;
  options.metrics.resumed.inc(resumed);
  const waiting = await store.countWaiting(request.planId);
  const fields = {
    resumed,
    waiting,
    cause: request.cause,
    ...(request.planId !== null && { plan_id: request.planId }),
  };
  // A pass over an empty queue, every ten seconds, is no news.
  if (resumed > 0 || waiting > 0) logger.info(fields, `resumed ${resumed}, ${waiting} still waiting`);
  else logger.debug(fields, "resumed 0, 0 still waiting");
  return { resumed, waiting, endedAt: rounds.endedAt };
}

interface Answers {
  readonly cpuTasks: GateAnswer | null;
  readonly gpuTasks: GateAnswer | null;
}

/** Null where no task of that kind is due: nothing is to be decided. */
function judge(options: ResumerOptions, due: { readonly cpuTasks: number; readonly gpuTasks: number }): Answers {
  const ask = (tasks: number, gpuCount: number): GateAnswer | null => {
    if (tasks === 0) return null;
    const answer = options.gate.askForPlacing({ gpuCount });
    logDecision(options.logger, answer, gpuCount > 0 ? "gpu" : "cpu", tasks);
    return answer;
  };
  return { cpuTasks: ask(due.cpuTasks, 0), gpuTasks: ask(due.gpuTasks, 1) };
}

async function markHeld(store: OrchestratorStore, request: PassRequest, answers: Answers): Promise<void> {
  for (const [kind, answer] of [
    ["cpu_tasks", answers.cpuTasks],
    ["gpu_tasks", answers.gpuTasks],
  ] as const) {
    if (answer?.kind === "held") await markChecked(store, request, { kind }, answer);
  }
}

function markChecked(
  store: OrchestratorStore,
  { planId, freshMs }: PassRequest,
  which: Parameters<OrchestratorStore["markChecked"]>[0]["which"],
  { reason, sentence }: Held,
): Promise<number> {
  return store.markChecked({ which, planId, reason, sentence, freshMs });
}

/** Tasks whose replica died between accepting and placing them. */
async function resumeOrphans(options: ResumerOptions, { planId, signal }: PassRequest): Promise<number> {
  let resumed = 0;
  for (let round = 0; round < maxRounds && !signal.aborted; round += 1) {
    const claimed = await options.store.claimOrphans(options.claimer, largestClaim, planId);
    if (claimed.length === 0) break;
    options.logger.warn(
      { tasks: claimed.length },
      "tasks whose orchestrator stopped before it placed them are taken over",
    );
    const placed = await options.placer.place(claimed, "resume-loop");
    tell(options, placed);
    resumed += placed.assigned.length;
  }
  return resumed;
}

/** Takes due rows in their order, few at first, more while all of them find room. A shape without room is not tried again in this pass. */
async function resumeDue(
  options: ResumerOptions,
  request: PassRequest,
  answers: Answers,
): Promise<{ readonly resumed: number; readonly endedAt: PassResult["endedAt"] }> {
  const exceptShapes: string[] = [];
  const cpuTasks = answers.cpuTasks?.kind === "open";
  const gpuTasks = answers.gpuTasks?.kind === "open";
  let resumed = 0;
  let limit = smallestClaim;
  for (let round = 0; round < maxRounds; round += 1) {
    if (!cpuTasks && !gpuTasks) break;
    if (request.signal.aborted) return { resumed, endedAt: "stopped" };
    const claimed = await options.store.claimWaiting({
      ...options.claimer,
      limit,
      exceptShapes,
      cpuTasks,
      gpuTasks,
      planId: request.planId,
    });
    if (claimed.length === 0) break;
    const placed = await options.placer.place(claimed, "resume-loop");
    tell(options, placed);
    resumed += placed.assigned.length;
    for (const [shapeKey, held] of placed.shapesWithoutRoom) {
      exceptShapes.push(shapeKey);
      await markChecked(options.store, request, { kind: "shape", shapeKey }, held);
    }
    if (placed.registryAway) return { resumed, endedAt: "registry away" };
    // The gate closed under us: whoever asked for the rest would be told the same.
    if (placed.assigned.length === 0 && placed.shapesWithoutRoom.size === 0) break;
    limit = placed.shapesWithoutRoom.size > 0 ? smallestClaim : Math.min(largestClaim, limit * 4);
  }
  return { resumed, endedAt: "done" };
}

function tell(options: ResumerOptions, placed: Placed): void {
  for (const planId of new Set([...placed.assigned, ...placed.parked].map((one) => one.planId)))
    options.planChanged(planId);
}
