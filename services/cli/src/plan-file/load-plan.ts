import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import type { Readable } from "node:stream";
import type { FieldViolation } from "@headroom/rpc";
import type { wire } from "@headroom/contracts";
import { CliError, fieldLine } from "../errors/cli-error.ts";
import type { CliIo } from "../io.ts";
import { maxPlanBytes, readPlan } from "./read-plan.ts";
import { errorCode } from "@headroom/runtime";

export interface LoadedPlan {
  readonly plan: wire.WorkPlan;
  /** Says of a field that the service refused where it stands in the file. */
  readonly describeField: (violation: FieldViolation) => string;
}

/** Reads the plan of a file, or of stdin when `path` is "-". Throws CliError with each problem and its line. */
export async function loadPlan(path: string, io: CliIo): Promise<LoadedPlan> {
  const fromStdin = path === "-";
  const name = fromStdin ? "stdin" : basename(path);
  const text = fromStdin ? await readAll(io.stdin, name) : await readPlanFile(resolve(io.cwd, path), path);
  const read = readPlan({ name, text, baseDir: fromStdin ? io.cwd : dirname(resolve(io.cwd, path)) });
  if (read.kind === "invalid") {
    throw new CliError({
      message: `${fromStdin ? "the plan on stdin" : path} is not a plan`,
      reason: "INVALID_PLAN_FILE",
      details: read.problems.map(({ line, column, message }) => `${place(name, line, column)}${message}`),
      wayOut: "how a plan is written: headroom plan dispatch --help",
    });
  }
  return {
    plan: read.plan,
    describeField: (violation) => {
      const { field, description } = violation;
      if (field === "request_id") return `--request-id: ${description}`;
      // What is not of the plan does not stand in its file.
      if (!/^plan\b/.test(field)) return fieldLine(violation);
      return `${name}:${read.lineOf(field)}: ${field}: ${description}`;
    },
  };
}

function place(name: string, line: number, column: number): string {
  return line === 0 ? "" : `${name}:${line}:${column}: `;
}

async function readPlanFile(absolute: string, path: string): Promise<string> {
  try {
    const text = await readFile(absolute, "utf8");
    refuseTooLarge(text.length, path);
    return text;
  } catch (error) {
    if (error instanceof CliError) throw error;
    const code = errorCode(error);
    const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : String(error);
    throw new CliError({ message: `cannot read ${path}: ${why}`, reason: "PLAN_FILE_UNREADABLE", cause: error });
  }
}

/** All of a stream as text, up to what a plan may have. */
export async function readAll(stream: Readable, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += buffer.length;
    refuseTooLarge(bytes, name);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function refuseTooLarge(bytes: number, name: string): void {
  if (bytes <= maxPlanBytes) return;
  throw new CliError({
    message: `${name} is larger than 16 MiB, which is more than a plan may have`,
    reason: "PLAN_TOO_LARGE",
  });
}
