import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CheckOptions, findViolations, violationLines } from "./check.ts";
import type { Facts } from "./facts.ts";

/** Throws with the violations, one a line, and where the whole history lies for whoever looks into it. */
export function assertNoViolations(facts: Facts, options: CheckOptions): void {
  const lines = violationLines(findViolations(facts, options));
  if (lines.length === 0) return;
  const file = join(tmpdir(), `headroom-violations-${process.pid}.json`);
  writeFileSync(file, JSON.stringify(facts));
  throw new Error(`${lines.length} violations (all facts: ${file}):\n${lines.join("\n")}`);
}
