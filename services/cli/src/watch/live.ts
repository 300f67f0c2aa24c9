import type { Ports, Timer } from "@headroom/runtime";
import type { Output } from "../io.ts";
import { colourOfState, type Paint } from "../output/colour.ts";
import { age, shortId } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { type Cell, cutLine, renderTable } from "../output/table.ts";
import { countsText, type PlanProgress, type TaskProgress } from "./progress.ts";
import type { WatchView } from "./view.ts";

export interface LiveOptions {
  readonly output: Output;
  readonly paint: Paint;
  readonly ports: Ports;
  readonly title: string;
  readonly first: PlanProgress;
}

/** Events come in bursts; eyes see no more than this. */
const leastRedrawMs = 100;
/** Ages grow by seconds. */
const idleRedrawMs = 1_000;
/** Title, table head, counts and a note. */
const linesBesideRows = 5;

/** A table redrawn in place. */
export function liveView(options: LiveOptions): WatchView {
  const { output, ports } = options;
  let progress = options.first;
  let note = "";
  let drawnLines = 0;
  let timer: Timer | undefined;
  let dueMs = 0;
  let ended = false;

  function draw(): void {
    timer?.cancel();
    timer = undefined;
    const text = frame(options, progress, note);
    // Up to where the last frame began, and clear from there: the new one may be shorter.
    output.write(`${drawnLines > 0 ? `\u001B[${drawnLines}A\u001B[J` : ""}${text}`);
    drawnLines = text.split("\n").length - 1;
    if (!ended) drawIn(idleRedrawMs);
  }

  function drawIn(delayMs: number): void {
    const atMs = ports.clock.monotonic() + delayMs;
    if (timer !== undefined && dueMs <= atMs) return;
    timer?.cancel();
    dueMs = atMs;
    timer = ports.timers.after(delayMs, draw, { keepAlive: false });
  }

  draw();
  return {
    show(next) {
      progress = next;
      note = "";
      drawIn(leastRedrawMs);
    },
    refresh(next) {
      progress = next;
      drawIn(leastRedrawMs);
    },
    note(line) {
      note = line;
      drawIn(leastRedrawMs);
    },
    end() {
      ended = true;
      draw();
    },
  };
}

function frame({ output, paint, ports, title }: LiveOptions, progress: PlanProgress, note: string): string {
  const now = ports.clock.now();
  const columns = output.columns() ?? 80;
  const room = Math.max(3, (output.rows() ?? 24) - linesBesideRows);
  const shown = mostInteresting([...progress.tasks.values()], room);
  const hidden = progress.tasks.size - shown.length;
  const width = columns - 1;
  const table = renderTable(
    ["TASK", "STATE", "AGENT", "SINCE", "WHY"],
    shown.map((task) => rowOf(task, now)),
    { paint, columns: width },
  );
  const head = `${paint("bold", printable(title))}  ${paint(colourOfState(progress.status), progress.status)}: ${countsText(progress)}`;
  const lines = [head, ...table.trimEnd().split("\n")];
  if (hidden > 0) lines.push(paint("grey", `… and ${hidden} more`));
  if (note !== "") lines.push(paint("yellow", printable(note)));
  // One column less than there is: a full line would wrap and break the count of lines.
  return `${lines.map((line) => cutLine(line, width)).join("\n")}\n`;
}

function rowOf(task: TaskProgress, nowMs: number): Cell[] {
  return [
    task.name,
    { text: task.state, colour: colourOfState(task.state) },
    task.agentId === "" ? "-" : shortId(task.agentId),
    age(task.sinceMs, nowMs),
    task.why,
  ];
}

const interest: Readonly<Record<string, number>> = {
  failed: 0,
  lost: 0,
  running: 1,
  assigned: 1,
  reserved: 1,
  pending: 2,
  paused: 2,
};

/** In the plan's order; when not all have room, what has ended well makes room for what has not. */
function mostInteresting(tasks: readonly TaskProgress[], room: number): readonly TaskProgress[] {
  if (tasks.length <= room) return tasks;
  const chosen = new Set(tasks.toSorted((a, b) => (interest[a.state] ?? 3) - (interest[b.state] ?? 3)).slice(0, room));
  return tasks.filter((task) => chosen.has(task));
}
