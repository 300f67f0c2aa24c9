import { readFile } from "node:fs/promises";
import type { JournalRecord } from "./journal/journal.ts";
import { journalContent } from "./journal/journal-state.ts";
import { readRecord } from "./journal/read-record.ts";
import type { Leftover } from "./runner/runner.ts";
import { errorCode } from "@headroom/runtime";

/** The attempts that a journal knows no result of, without opening it: that would rewrite it, and may need room. Empty where there is none. */
export async function readLeftovers(journalPath: string): Promise<readonly Leftover[]> {
  const text = await readFile(journalPath, "utf8").catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  });
  const records = text.split("\n").map(readRecord);
  const { entries } = journalContent(records.filter((record): record is JournalRecord => record !== null));
  return entries
    .filter(({ result }) => result === null)
    .map(({ attemptId, started }) => ({
      attemptId,
      pid: started?.exit === undefined ? (started?.pid ?? null) : null,
      startToken: started?.startToken ?? null,
      startedAtMs: started?.atMs ?? null,
    }));
}
