import { outputStreamWire, timestampFromMs, wire } from "@headroom/contracts";
import { notFound, type ServerStreamHandler } from "@headroom/rpc";
import { isFinalAttemptState, isFinalTaskState } from "@headroom/scheduling";
import type { AttemptRecord } from "../store/model.ts";
import type { HandlerDeps } from "./deps.ts";
import { taskNotFound } from "./not-found.ts";

/** Rows of at most 64 KiB. */
const batch = 32;
const pollMs = 1_000;

/** What a run wrote; with `follow`, until it has ended. A task that has not run yet is waited for when followed. */
export function streamTaskLogs(
  deps: HandlerDeps,
): ServerStreamHandler<wire.StreamTaskLogsRequest, wire.StreamTaskLogsResponse> {
  return async function* (request, { signal }) {
    const attempt = await findRun(deps, request, signal);
    if (attempt === null) return;
    const { attemptId } = attempt;
    const taskId = request.taskId.toLowerCase();
    const watch = deps.hub.watch(attemptId);
    let afterSeq = 0;
    try {
      while (!signal.aborted) {
        // The state first: output that came before the end is then among what is read.
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
        if (chunks.length === batch) continue;
        if (!request.follow || now === null || isFinalAttemptState(now.state)) break;
        await watch.wait(pollMs, signal);
      }
      const droppedBytes = await deps.store.outputDroppedBytes(attemptId);
      if (droppedBytes > 0) yield leftOut(attemptId, droppedBytes, deps.ports.clock.now(), afterSeq + 1);
    } finally {
      watch.close();
    }
  };
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
