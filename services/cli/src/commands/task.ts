import { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { taskIdOf } from "../ids.ts";
import { colourOfState } from "../output/colour.ts";
import { age, amount, commandLine, gb, instant, shortId, span } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import type { Cell } from "../output/table.ts";
import { timeOf, word } from "../output/words.ts";
import { waitsFor } from "./plan-reads.ts";
import { printVerdicts } from "./verdicts.ts";

/** `headroom task get ID` */
export function taskGet(given: string): Run {
  return async (context) => {
    const task = need(await context.client().tasks.get(await taskIdOf(context, given, "read")));
    if (context.isJson) context.printJson("orchestrator", "GetTaskResponse", { task });
    else printTask(context, task);
    return exitCodes.done;
  };
}

/** `headroom task cancel ID` */
export function taskCancel(given: string, reason: string): Run {
  return async (context) => {
    const task = need(await context.client().tasks.cancel(await taskIdOf(context, given, "change"), reason));
    if (context.isJson) context.printJson("orchestrator", "CancelTaskResponse", { task });
    else {
      const state = word("TaskState", task.state);
      const rest = state === "cancelled" ? "is cancelled" : `is ${state} and is being ended by its agent`;
      context.say(`task ${task.taskId} (${task.name}) ${rest}`);
    }
    return exitCodes.done;
  };
}

/** `headroom task explain ID` */
export function taskExplain(given: string): Run {
  return async (context) => {
    const answer = need(await context.client().tasks.explain(await taskIdOf(context, given, "read")));
    if (context.isJson) {
      context.printJson("orchestrator", "ExplainTaskResponse", answer);
      return exitCodes.done;
    }
    context.io.stdout.write(`${printable(answer.sentence)}\n`);
    const expected = expectedStart(answer, context.io.ports.clock.now());
    if (answer.queuePosition > 0) context.io.stdout.write(`place in the queue: ${answer.queuePosition}${expected}\n`);
    printVerdicts(context, answer.capacity?.agents ?? []);
    return exitCodes.done;
  };
}

/** "; expected to start in 3 m 05 s to 12 m 00 s", from what runs and how long that takes. */
function expectedStart(answer: wire.ExplainTaskResponse, nowMs: number): string {
  const earliestMs = timeOf(answer.expectedStartEarliest);
  if (earliestMs === null) return "";
  const latestMs = timeOf(answer.expectedStartLatest);
  const from = earliestMs <= nowMs ? "now" : `in ${span(earliestMs - nowMs)}`;
  if (latestMs === null) return `; expected to start ${from} at the earliest`;
  return latestMs - earliestMs < 1_000
    ? `; expected to start ${from}`
    : `; expected to start ${from} to ${span(latestMs - nowMs)}`;
}

function printTask(context: CommandContext, task: wire.Task): void {
  const now = context.io.ports.clock.now();
  const state = word("TaskState", task.state);
  const facts: [string, Cell][] = [
    ["task", task.taskId],
    ["name", task.name],
    ["plan", task.planId],
    ["state", { text: state, colour: colourOfState(state) }],
  ];
  if (task.pause !== undefined) {
    facts.push(["waits for", waitsFor(task.pause)], ["waits since", `${age(timeOf(task.pause.pausedAt), now)} ago`]);
    const resumeAfterMs = timeOf(task.pause.resumeAfter);
    if (resumeAfterMs !== null) facts.push(["not before", instant(resumeAfterMs)]);
    facts.push(["last looked", instant(timeOf(task.pause.lastChecked))]);
    const waitDeadlineMs = timeOf(task.pause.waitDeadline);
    if (waitDeadlineMs !== null) facts.push(["fails at", `${instant(waitDeadlineMs)} (wait_timeout)`]);
  }
  if (task.outcomeReason !== "") facts.push(["outcome", task.outcomeReason]);
  facts.push(["command", commandLine(task.argv, 200)], ["needs", needsText(task.needs)]);
  if (task.dependsOn.length > 0) facts.push(["depends on", task.dependsOn.join(", ")]);
  if (task.cancelRequested) facts.push(["cancel", "asked for"]);
  context.printFacts(facts);
  if (task.attempts.length === 0) return;
  context.io.stdout.write("\n");
  context.printTable(
    ["RUN", "ATTEMPT", "STATE", "AGENT", "STARTED", "TOOK", "ENDED BY", "CPU", "MEMORY PEAK"],
    task.attempts.map((attempt) => attemptRow(attempt, now)),
  );
}

function attemptRow(attempt: wire.Attempt, nowMs: number): Cell[] {
  const state = word("AttemptState", attempt.state);
  const startedAtMs = timeOf(attempt.startedAt);
  return [
    String(attempt.number),
    shortId(attempt.attemptId),
    { text: state, colour: colourOfState(state) },
    shortId(attempt.agentId),
    instant(startedAtMs),
    startedAtMs === null ? "-" : age(startedAtMs, timeOf(attempt.finishedAt) ?? nowMs),
    endedBy(attempt),
    attempt.used === undefined ? "-" : `${amount(attempt.used.cpuSeconds)} s`,
    attempt.used === undefined ? "-" : gb(attempt.used.memoryPeakGb),
  ];
}

function endedBy(attempt: wire.Attempt): string {
  if (attempt.signal !== "") return `${attempt.reason} ${attempt.signal}`.trim();
  if (attempt.exitCode !== undefined) return `exit code ${attempt.exitCode}`;
  return attempt.reason === "" ? "-" : attempt.reason;
}

/** "1 core, 8 GiB VRAM on each of 2 GPUs". Exported for the queue. */
export function needsText(needs: wire.ResourceNeeds | undefined): string {
  if (needs === undefined) return "1 core";
  const cores = needs.cpuCores ?? 1;
  const parts = [`${amount(cores)} ${cores === 1 ? "core" : "cores"}`];
  if ((needs.memoryGb ?? 0) > 0) parts.push(`${gb(needs.memoryGb ?? 0)} memory`);
  const vramGb = needs.gpuVramGb ?? 0;
  // The contract's defaults: one card where something of a card is asked for, and whole cards where no VRAM is.
  const asksForCard = vramGb > 0 || needs.gpuExclusive === true || needs.gpuModels.length > 0;
  const cards = needs.gpuCount ?? (asksForCard ? 1 : 0);
  if (cards > 0) {
    const what = vramGb > 0 ? `${gb(vramGb)} VRAM on ` : "";
    parts.push(`${what}${cards} ${(needs.gpuExclusive ?? vramGb === 0) ? "whole " : ""}GPU${cards === 1 ? "" : "s"}`);
  }
  if (needs.gpuModels.length > 0) parts.push(`model ${needs.gpuModels.join(" or ")}`);
  if (needs.pool !== "") parts.push(`pool ${needs.pool}`);
  for (const [key, value] of Object.entries(needs.labels)) parts.push(`${key}=${value}`);
  if (needs.agentId !== "") parts.push(`agent ${shortId(needs.agentId)}`);
  return parts.join(", ");
}
