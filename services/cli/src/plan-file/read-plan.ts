import { isAbsolute, resolve, win32 } from "node:path";
import { descriptorRegistry, jsonToMessageBytes, wire } from "@headroom/contracts";
import { type Document, isNode, LineCounter, parseDocument } from "yaml";
import { type PlanProblem, walkMessage, type Walk } from "./walk.ts";

export interface PlanSource {
  /** Of the file, for messages. */
  readonly name: string;
  readonly text: string;
  /** Folder from which a relative working_dir is taken. */
  readonly baseDir: string;
}

export type PlanRead =
  | {
      readonly kind: "ok";
      readonly plan: wire.WorkPlan;
      /** Line of a field of the request, such as `plan.tasks[3].name`; of what is around it when it is not there itself. */
      lineOf(field: string): number;
    }
  /** Problems in the order of the file, at most 20. */
  | { readonly kind: "invalid"; readonly problems: readonly PlanProblem[] };

const planType = "headroom.orchestrator.v1.WorkPlan";
const maxProblems = 20;
const severalDocuments = "a file holds one plan: what follows this `---` belongs in a file of its own";
/** The orchestrator takes no more. */
export const maxPlanBytes = 16 * 1024 * 1024;

/** Reads a plan from YAML (or JSON, which is YAML): the WorkPlan of the contract in snake_case, durations as `1h30m`. */
export function readPlan(source: PlanSource): PlanRead {
  const lineCounter = new LineCounter();
  const document = parseDocument(source.text, { lineCounter, prettyErrors: false, uniqueKeys: true });
  const problems: PlanProblem[] = document.errors.map((error) => {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    // The library's own words are advice to a programmer.
    const message = error.code === "MULTIPLE_DOCS" ? severalDocuments : error.message;
    return { line, column: col, message };
  });
  if (problems.length > 0) return invalid(problems);
  if (document.contents === null)
    return invalid([{ line: 1, column: 1, message: "the file is empty: a plan has at least a name and tasks" }]);

  const walk: Walk = {
    document,
    report(node, message) {
      problems.push({ ...placeOf(node, lineCounter), message });
    },
  };
  const type = descriptorRegistry().getMessage(planType);
  if (type === undefined) throw new TypeError(`the contract has no ${planType}`);
  const json = walkMessage(walk, document.contents, type, "");
  if (json === undefined || problems.length > 0) return invalid(problems);

  const lineOf = (field: string) => lineOfField(document, lineCounter, field);
  const bytes = jsonToMessageBytes(planType, json);
  if (bytes.kind === "invalid") {
    return invalid(
      bytes.violations.map(({ field, description }) => ({
        line: lineOf(field),
        column: 1,
        message: `${field} ${description}`,
      })),
    );
  }
  return { kind: "ok", plan: withAbsoluteFolders(wire.WorkPlan.decode(bytes.value), source.baseDir), lineOf };
}

/** A relative folder means nothing to an agent: it is meant from where the file lies. An agent may run on Windows where this does not. */
function withAbsoluteFolders(plan: wire.WorkPlan, baseDir: string): wire.WorkPlan {
  for (const { command } of plan.tasks) {
    if (command === undefined || command.workingDir === "") continue;
    const isMeantFromHere = !isAbsolute(command.workingDir) && !win32.isAbsolute(command.workingDir);
    if (isMeantFromHere) command.workingDir = resolve(baseDir, command.workingDir);
  }
  return plan;
}

function invalid(problems: readonly PlanProblem[]): PlanRead {
  return {
    kind: "invalid",
    problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column).slice(0, maxProblems),
  };
}

function placeOf(node: unknown, lines: LineCounter): { line: number; column: number } {
  const start = isNode(node) ? node.range?.[0] : undefined;
  if (start === undefined) return { line: 0, column: 0 };
  const { line, col } = lines.linePos(start);
  return { line, column: col };
}

function lineOfField(document: Document, lines: LineCounter, field: string): number {
  const path = [...field.replace(/^plan\.?/, "").matchAll(/([^.[\]]+)/g)].map(([part]) =>
    /^\d+$/.test(part) ? Number(part) : part.replaceAll('"', ""),
  );
  for (let length = path.length; length > 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const { line } = placeOf(node, lines);
    if (line > 0) return line;
  }
  return 1;
}
