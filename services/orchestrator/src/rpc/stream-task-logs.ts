import { outputStreamWire, timestampFromMs, wire } from "@headroom/contracts";
import { notFound, type ServerStreamHandler } from "@headroom/rpc";
import { isFinalAttemptState, isFinalTaskState } from "@headroom/scheduling";
import type { AttemptRecord } from "../store/model.ts";
import type { HandlerDeps } from "./deps.ts";
import { taskNotFound } from "./not-found.ts";

/** Rows of at most 64 KiB. */
const batch = 32;
const pollMs = 1_000;
/**
 * Output that a run still owes when it has ended is waited for so long after what came last: its agent may have to come back first, for which
 * it takes 8 s at most between two tries. It may never come, of an agent that was stopped meanwhile, say.
 */
const owedOutputMs = 15_000;

/**
 * What a run wrote; with `follow`, until it has ended and all of its output has come: a result may come first. A task that has not run yet is
 * waited for when followed.
 */
export function streamTaskLogs(
  deps: HandlerDeps,
): ServerStreamHandler<wire.StreamTaskLogsRequest, wire.StreamTaskLogsResponse> {
  return async function* (request, { signal }) {
    const attempt = await findRun(deps, request, signal);
    if (attempt === null) return;
    const { attemptId } = attempt;
    const taskId = request.taskId.toLowerCase();
    const watch = deps.hub.watch(attemptId);
    const { clock } = deps.ports;
    let afterSeq = 0;
    let newsAtMs = clock.monotonic();
    try {
      while (!signal.aborted) {
        // The state first: output that came before the end is then among what is read, and so is all of it when no more is awaited.
        const now = await deps.store.findAttempt(taskId, attemptId);
        const chunks = await deps.store.readOutput(attemptId, afterSeq, batch);
        for (const chunk of chunks) {
          yield wire.StreamTaskLogsResponse.fromPartial({
            attemptId,
            stream: outputStreamWire.toWire(chunk.stream),
            data: Buffer.from(chunk.data),
            at: timestampFromMs(chunk.atMs),
            seq: chunk.seq,
          });
          afterSeq = chunk.seq;
        }
        const next = whatNext(now, request.follow);
        if (chunks.length > 0 || next === "follow") newsAtMs = clock.monotonic();
        if (chunks.length === batch) continue;
        if (next === "end" || clock.monotonic() - newsAtMs >= owedOutputMs) break;
        await watch.wait(pollMs, signal);
      }
      const droppedBytes = await deps.store.outputDroppedBytes(attemptId);
      if (droppedBytes > 0) yield leftOut(attemptId, droppedBytes, clock.now(), afterSeq + 1);
    } finally {
      watch.close();
    }
  };
}

/** `wait_for_rest`: it has ended, and its last output is on its way or lost. */
function whatNext(now: AttemptRecord | null, follows: boolean): "follow" | "wait_for_rest" | "end" {
  if (!follows || now === null) return "end";
  if (!isFinalAttemptState(now.state)) return "follow";
  return now.awaitsOutput ? "wait_for_rest" : "end";
}

function leftOut(attemptId: string, bytes: number, nowMs: number, seq: number): wire.StreamTaskLogsResponse {
  return wire.StreamTaskLogsResponse.fromPartial({
    attemptId,
    stream: wire.OutputStream.OUTPUT_STREAM_HEADROOM,
    data: Buffer.from(`${bytes} bytes of output left out here: the run wrote more than is kept\n`),
    at: timestampFromMs(nowMs),
    seq,
  });
}

/** Null: the task has not run, and will not while we watch. */
async function findRun(
  deps: HandlerDeps,
  request: wire.StreamTaskLogsRequest,
  signal: AbortSignal,
): Promise<AttemptRecord | null> {
  const taskId = request.taskId.toLowerCase();
  const attemptId = request.attemptId === "" ? null : request.attemptId.toLowerCase();
  for (;;) {
    const task = await deps.store.getTask(taskId);
    if (task === null) throw taskNotFound(taskId);
    const attempt = await deps.store.findAttempt(taskId, attemptId);
    if (attempt !== null) return attempt;
    if (attemptId !== null)
      throw notFound("ATTEMPT_NOT_FOUND", `the task has no attempt ${attemptId}`, { attempt_id: attemptId });
    if (!request.follow || signal.aborted || isFinalTaskState(task.state)) return null;
    const watch = deps.hub.watch(task.planId);
    await watch.wait(pollMs, signal);
    watch.close();
  }
}
