import type { wire } from "@headroom/contracts";
import type { Output } from "../io.ts";
import { colourOfState, type Paint } from "../output/colour.ts";
import { shortId, timeOfDay } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { timeOf, word } from "../output/words.ts";
import { eventWhy, type PlanProgress } from "./progress.ts";
import type { WatchView } from "./view.ts";

/** One plain line for each event: for pipes, files and terminals that cannot move the cursor. */
export function linesView(output: Output, paint: Paint): WatchView {
  return {
    show: (progress, message) => {
      const { event } = message;
      if (event !== undefined && !isRepeated(event)) output.write(`${eventLine(event, progress, paint)}\n`);
    },
    refresh: null,
    note: (line) => output.write(`${printable(line)}\n`),
    end: () => undefined,
  };
}

/** An agent that took a task says so twice, accepted and started: its state is running from the first on, and one line tells it. */
function isRepeated(event: wire.PlanEvent): boolean {
  return event.kind === "TASK_STARTED" && event.fromState === event.toState;
}

/** "12:00:01Z  primes-3  paused     no_agent_fits_now: 0.5 cores short". Exported for tests. */
export function eventLine(event: wire.PlanEvent, progress: PlanProgress, paint: Paint): string {
  const names = [...progress.tasks.values()].map(({ name }) => name.length);
  const width = Math.min(40, Math.max(6, ...names));
  const state = word("TaskState", event.toState);
  // A step that leaves the state as it is (or is about the plan) is told by its own word: resumed, accepted.
  const isMove = state !== "" && event.fromState !== event.toState;
  const what = isMove ? state : event.kind.toLowerCase().replace(/^(task|plan)_/, "");
  // Where it was before it had to wait again is of no interest here.
  const agent = event.agentId === "" || state === "paused" ? "" : `on ${shortId(event.agentId)}`;
  // That a command succeeded needs no reason.
  const why = state === "succeeded" ? "" : eventWhy(event);
  const rest = printable([agent, why].filter((part) => part !== "").join("  "));
  const time = `${timeOfDay(timeOf(event.at) ?? 0)}Z`;
  const name = event.taskId === "" ? "(plan)" : printable(event.taskName);
  return `${paint("grey", time)}  ${name.padEnd(width)}  ${paint(colourOfState(what), what.padEnd(9))}  ${rest}`.trimEnd();
}
