import type { QueuePlace } from "../store/port.ts";

/** "3 tasks of higher priority and 2 that have waited longer wait before it."; `bound`: how far was counted. Empty: none is. */
export function orderSentence(
  { higherPriority, samePriority }: Pick<QueuePlace, "higherPriority" | "samePriority">,
  bound: number,
): string {
  const parts: string[] = [];
  if (higherPriority > 0) parts.push(`${counted(higherPriority, bound)} of higher priority`);
  if (samePriority > 0) {
    const what = parts.length === 0 ? counted(samePriority, bound) : figure(samePriority, bound);
    parts.push(`${what} that ${samePriority === 1 ? "has" : "have"} waited longer`);
  }
  if (parts.length === 0) return "";
  return `${parts.join(" and ")} ${higherPriority + samePriority === 1 ? "waits" : "wait"} before it.`;
}

function counted(tasks: number, bound: number): string {
  return `${figure(tasks, bound)} ${tasks === 1 ? "task" : "tasks"}`;
}

function figure(tasks: number, bound: number): string {
  return tasks >= bound ? `at least ${bound}` : String(tasks);
}
