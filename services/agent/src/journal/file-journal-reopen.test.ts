import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openDurableLog, systemTimers, writeFileAtomic } from "@headroom/runtime";
import { captureLogger, makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fileJournal } from "./file-journal.ts";
import type { JournalRecord } from "./journal.ts";

/** An attempt's id, the same for the same name. */
const uuidOf = (name: string): string =>
  `00000000-0000-4000-8000-${Buffer.from(name).toString("hex").padEnd(12, "0").slice(0, 12)}`;

let dir: TempDir;
let path: string;
/** The program has no file left to open. */
let isOutOfFiles: boolean;
beforeEach(async () => {
  dir = await makeTempDir("journal reopen");
  path = join(dir.path, "journal.jsonl");
  isOutOfFiles = false;
});
afterEach(() => dir.remove());

const whileThereAreFiles = <T>(work: () => Promise<T>): Promise<T> =>
  isOutOfFiles ? Promise.reject(new Error("EMFILE: too many open files")) : work();

const journalOf = (logger = captureLogger()) =>
  fileJournal({
    path,
    logger,
    timers: systemTimers,
    compactAfterLines: 10,
    files: {
      read: (file) => readFile(file, "utf8").catch(() => null),
      replace: (file, text) => whileThereAreFiles(() => writeFileAtomic(file, text)),
      openLog: (file) => whileThereAreFiles(() => openDurableLog(file)),
    },
  });

const adopted = (fence: number): JournalRecord => ({ kind: "adopted", attemptId: uuidOf("old"), fence });
const started = (attemptId: string): JournalRecord => ({
  kind: "started",
  attemptId,
  fence: 1,
  pid: 42,
  startToken: "boot 1",
  atMs: 6,
});
const pids = (text: string): number => text.split('"pid":42').length - 1;

/** A journal whose last append met a rewrite that failed. */
async function afterAFailedRewrite() {
  const logger = captureLogger();
  const journal = journalOf(logger);
  await journal.open();
  for (let fence = 1; fence < 10; fence += 1) await journal.append(adopted(fence));
  isOutOfFiles = true;
  // It stands in the file: nobody is told that it does not.
  await journal.append(adopted(10));
  expect(logger.has("could not be shortened", "warn")).toBe(true);
  return { journal, logger };
}

it("a rewrite that fails for want of files loses nothing, and the journal goes on when there are some", async () => {
  const { journal } = await afterAFailedRewrite();
  await expect(journal.append(adopted(11))).rejects.toThrow("EMFILE");
  await expect(journal.append(started(uuidOf("a")))).rejects.toThrow("EMFILE");
  isOutOfFiles = false;
  // Many at once share one opening.
  await Promise.all([uuidOf("b"), uuidOf("c"), uuidOf("d")].map((attemptId) => journal.append(started(attemptId))));
  await journal.close();
  const text = await readFile(path, "utf8");
  expect(text).toContain('"fence":10');
  expect(text).not.toContain('"fence":11');
  // What had happened meanwhile too.
  expect(pids(text)).toBe(4);
});

it("what happened after such a rewrite is written when it closes", async () => {
  const { journal } = await afterAFailedRewrite();
  await expect(journal.append(started(uuidOf("a")))).rejects.toThrow("EMFILE");
  isOutOfFiles = false;
  await journal.close();
  expect(pids(await readFile(path, "utf8"))).toBe(1);
});

it("closing after such a rewrite is no error, with no files still", async () => {
  const { journal, logger } = await afterAFailedRewrite();
  await expect(journal.append(started(uuidOf("b")))).rejects.toThrow("EMFILE");
  await journal.close();
  expect(logger.has("could not be written", "error")).toBe(true);
  await expect(journal.append(adopted(12))).rejects.toThrow("is not open");
});

it("a journal that cannot be opened at all says so", async () => {
  isOutOfFiles = true;
  await expect(journalOf().open()).rejects.toThrow("EMFILE");
});
