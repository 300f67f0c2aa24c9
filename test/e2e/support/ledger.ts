import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PlanInput } from "@headroom/client";

type TaskInput = NonNullable<PlanInput["tasks"]>[number];

/** What a command wrote about its own life. */
export interface LedgerLine {
  readonly what: "start" | "end";
  readonly task: string;
  readonly attemptId: string;
  readonly taskId: string;
  readonly planId: string;
  readonly pid: number;
  readonly atSeconds: number;
}

export interface LedgerTaskOptions extends Omit<TaskInput, "name" | "command"> {
  /** More for the shell to do between start and end; its exit code becomes the task's. */
  readonly script?: string;
  /** The task runs until `open` is called with this name, at most two minutes. */
  readonly gate?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * What really ran, written by the commands themselves: each appends one line (O_APPEND) when it starts and one when it ends.
 * "Ran exactly once" is read here, and not from the tables of the program under test.
 */
export interface Ledger {
  readonly file: string;
  /** A task that writes itself into the ledger, needing 1 core unless told otherwise. */
  task(name: string, options?: LedgerTaskOptions): TaskInput;
  /** Lets the tasks that wait at a gate go on. */
  open(gate: string): void;
  lines(): readonly LedgerLine[];
  /** How often each task has started, by name. */
  starts(): Readonly<Record<string, number>>;
  /** How often each task has come to its end, by name. */
  ends(): Readonly<Record<string, number>>;
}

export function createLedger(dir: string): Ledger {
  const file = join(dir, "ledger");
  appendFileSync(file, "");

  function lines(): LedgerLine[] {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map(parseLine);
  }

  const count = (what: LedgerLine["what"]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const line of lines()) if (line.what === what) counts[line.task] = (counts[line.task] ?? 0) + 1;
    return counts;
  };

  return {
    file,
    task(name, options = {}) {
      const { script, gate, env, needs, ...rest } = options;
      const gateFile = gate === undefined ? "" : join(dir, `gate-${gate}`);
      return {
        ...rest,
        name,
        needs: needs ?? { cpuCores: 1 },
        command: {
          argv: ["/bin/sh", "-c", shell(script, gate !== undefined)],
          env: { LEDGER: file, LEDGER_TASK: name, LEDGER_GATE: gateFile, ...env },
        },
      };
    },
    open: (gate) => writeFileSync(join(dir, `gate-${gate}`), ""),
    lines,
    starts: () => count("start"),
    ends: () => count("end"),
  };
}

/** echo is a builtin and writes its line with one write(2), which O_APPEND keeps whole. */
const note = (what: LedgerLine["what"]): string =>
  `echo "${what} $LEDGER_TASK $HEADROOM_ATTEMPT_ID $HEADROOM_TASK_ID $HEADROOM_PLAN_ID $$ $(date +%s)" >> "$LEDGER"`;

/** Bounded, so that nothing of a test that failed lives long. */
const waitAtGate = 'n=0; while [ ! -e "$LEDGER_GATE" ] && [ $n -lt 1200 ]; do n=$((n+1)); sleep 0.1; done';

function shell(script: string | undefined, hasGate: boolean): string {
  const parts = [note("start")];
  if (hasGate) parts.push(waitAtGate);
  if (script !== undefined) parts.push(`( ${script}\n) || exit $?`);
  parts.push(note("end"));
  return parts.join("\n");
}

function parseLine(line: string): LedgerLine {
  const [what, task, attemptId, taskId, planId, pid, atSeconds] = line.split(" ");
  if ((what !== "start" && what !== "end") || !task || !attemptId || !taskId || !planId) {
    throw new Error(`not a line of a ledger: ${JSON.stringify(line)}`);
  }
  return { what, task, attemptId, taskId, planId, pid: Number(pid), atSeconds: Number(atSeconds) };
}
