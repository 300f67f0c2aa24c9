import { pauseReasonWire, taskStateWire, wire } from "@headroom/contracts";
import { clip } from "@headroom/rpc";
import type { TaskNow } from "../accept/acceptor.ts";

/** What a message of 16 MiB has place for beside ids, names and states of 10,000 tasks. */
const mostSentenceBytes = 13 * 1_048_576;
/** 10,000 of this length have that place, of whatever letters they are. */
const shortSentence = 400;

/**
 * What became of the tasks of a plan, for an answer that always fits: a caller must not hear of an error what has been committed. Where the sentences
 * are too long together, each is cut.
 */
export function dispatchedTasksToWire(tasks: readonly TaskNow[]): wire.DispatchedTask[] {
  const bytes = tasks.reduce((sum, { sentence }) => sum + Buffer.byteLength(sentence), 0);
  const isTooLong = bytes > mostSentenceBytes;
  return tasks.map((task) => toWire(isTooLong ? { ...task, sentence: clip(task.sentence, shortSentence) } : task));
}

function toWire(task: TaskNow): wire.DispatchedTask {
  return wire.DispatchedTask.fromPartial({
    taskId: task.taskId,
    name: task.name,
    state: taskStateWire.toWire(task.state),
    pauseReason: task.reason === null ? 0 : pauseReasonWire.toWire(task.reason),
    sentence: task.sentence,
    agentId: task.agentId ?? "",
  });
}
