import { join } from "node:path";
import { readJsonFile, writeJsonFile } from "@headroom/runtime";

/**
 * Counts this start of the agent program in `starts.json` of its folder, durably, and answers the number. Without a file that can be read it
 * counts from 1: whoever compares the numbers then waits until the start before is known to be over.
 */
export async function countStart(agentDir: string): Promise<number> {
  const path = join(agentDir, "starts.json");
  const file = await readJsonFile(path);
  const before = file.kind === "ok" ? readStarts(file.value) : 0;
  await writeJsonFile(path, { starts: before + 1 });
  return before + 1;
}

function readStarts(value: unknown): number {
  const starts: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "starts") : null;
  return typeof starts === "number" && Number.isSafeInteger(starts) && starts > 0 && starts < mostStarts ? starts : 0;
}

/** A start every second for 50 years. */
const mostStarts = 2 ** 31;
