import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { captureLogger, makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { silentLogger, systemTimers } from "@headroom/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileJournal, type JournalFiles } from "./file-journal.ts";
import type { Journal, JournalRecord } from "./journal.ts";

/** An attempt's id, the same for the same name. */
const uuidOf = (name: string): string =>
  `00000000-0000-4000-8000-${Buffer.from(name).toString("hex").padEnd(12, "0").slice(0, 12)}`;

let dir: TempDir;
let path: string;
beforeEach(async () => {
  dir = await makeTempDir("journal");
  path = join(dir.path, "journal.jsonl");
});
afterEach(() => dir.remove());

const accepted = (attemptId: string, fence = 1): JournalRecord => ({
  kind: "accepted",
  attemptId,
  fence,
  atMs: 5,
  taskId: "t",
  planId: "p",
  taskName: "n",
  workLeaseMs: 60_000,
  reserved: { cpuMillicores: 1_000, memoryMib: 10, cards: [{ cardId: "gpu-0", vramMib: 7, exclusive: false }] },
});
const started = (attemptId: string): Extract<JournalRecord, { readonly kind: "started" }> => ({
  kind: "started",
  attemptId,
  fence: 1,
  pid: 42,
  startToken: "boot 1",
  atMs: 6,
});
const finished = (attemptId: string): JournalRecord => ({
  kind: "finished",
  attemptId,
  fence: 1,
  outcome: "exited",
  exitCode: 0,
  signal: "",
  sentence: "",
  startedAtMs: 6,
  finishedAtMs: 7,
  used: { cpuMs: 1, memoryPeakMib: 2, vramPeakMib: 3 },
  lastOutputSeq: 4,
});

async function write(records: readonly JournalRecord[], compactAfterLines?: number): Promise<void> {
  const journal = fileJournal({
    path,
    logger: silentLogger,
    timers: systemTimers,
    ...(compactAfterLines === undefined ? {} : { compactAfterLines }),
  });
  await journal.open();
  for (const record of records) await journal.append(record);
  await journal.close();
}

async function read(logger = silentLogger): Promise<Awaited<ReturnType<Journal["open"]>>> {
  const journal = fileJournal({ path, logger, timers: systemTimers });
  const content = await journal.open();
  await journal.close();
  return content;
}

const exit = { outcome: "exited", exitCode: 3, signal: "", sentence: "", cpuMs: 10, endedAtMs: 9 } as const;
const exited = (attemptId: string): JournalRecord => ({ ...started(attemptId), exit });

describe("fileJournal", () => {
  it("tells after a restart what was accepted, started, adopted, finished and acknowledged", async () => {
    await write([
      accepted(uuidOf("a")),
      started(uuidOf("a")),
      accepted(uuidOf("b")),
      { kind: "adopted", attemptId: uuidOf("a"), fence: 3 },
      finished(uuidOf("b")),
      accepted(uuidOf("c")),
      { kind: "acked", attemptId: uuidOf("c"), fence: 1 },
    ]);
    const { entries, ackedIds } = await read();
    expect(entries.map((entry) => entry.attemptId)).toEqual([uuidOf("a"), uuidOf("b")]);
    expect(entries[0]).toMatchObject({
      fence: 3,
      started: { pid: 42, startToken: "boot 1", atMs: 6 },
      result: null,
      workLeaseMs: 60_000,
    });
    expect(entries[0]?.reserved.cards).toEqual([{ cardId: "gpu-0", vramMib: 7, exclusive: false }]);
    expect(entries[1]?.result).toMatchObject({ outcome: "exited", exitCode: 0, lastOutputSeq: 4, used: { cpuMs: 1 } });
    expect(ackedIds).toEqual([uuidOf("c")]);
    // A rewrite at each opening says the same.
    expect(await read()).toEqual({ entries, ackedIds });
  });

  it("I1: tells how a program ended that has no result yet, whatever comes in between; who does not know of that reads its start", async () => {
    await write([accepted(uuidOf("a")), started(uuidOf("a")), exited(uuidOf("a"))]);
    // It was shortened at that start.
    for (const _again of [1, 2]) {
      const { entries } = await read();
      expect(entries).toMatchObject([{ attemptId: uuidOf("a"), started: { pid: 42, atMs: 6, exit }, result: null }]);
    }
    const lines = (await readFile(path, "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { ...accepted(uuidOf("a")), atMs: 6 },
      { ...started(uuidOf("a")), exit },
    ]);
    await write([started(uuidOf("a")), { kind: "adopted", attemptId: uuidOf("a"), fence: 2 }]);
    expect((await read()).entries).toMatchObject([{ fence: 2, started: { exit } }]);
    await write([finished(uuidOf("a"))]);
    expect((await read()).entries).toMatchObject([{ result: { exitCode: 0 } }]);
  });

  it("tolerates a last line torn by a crash, and goes on behind it", async () => {
    await write([accepted(uuidOf("a"))]);
    await writeFile(path, `${await readFile(path, "utf8")}{"kind":"accepted","attemptId":"torn`);
    const logger = captureLogger();
    expect((await read(logger)).entries.map((entry) => entry.attemptId)).toEqual([uuidOf("a")]);
    expect(logger.has("torn", "info")).toBe(true);
    expect(logger.has("damaged")).toBe(false);
    await write([accepted(uuidOf("b"))]);
    expect((await read()).entries.map((entry) => entry.attemptId)).toEqual([uuidOf("a"), uuidOf("b")]);
  });

  it("takes a line for damaged whose id or fence nobody would take: a hello that names it would be refused for ever", async () => {
    const logger = captureLogger();
    await write([accepted(uuidOf("a")), accepted(uuidOf("b")), accepted(uuidOf("c"))]);
    const [first = "", second = "", third = ""] = (await readFile(path, "utf8")).split("\n");
    await writeFile(
      path,
      `${first}\n${second.replace(uuidOf("b"), uuidOf("b").replace("4000", "4x00"))}\n${third.replace('"fence":1', '"fence":0')}\n`,
    );
    expect((await read(logger)).entries.map((entry) => entry.attemptId)).toEqual([uuidOf("a")]);
    expect(logger.has(/damaged in 2 line\(s\) \(2, 3\)/, "error")).toBe(true);
  });

  it("reports a damaged line, keeps the file, and counts the other lines", async () => {
    await write([accepted(uuidOf("a")), accepted(uuidOf("b")), started(uuidOf("b"))]);
    const lines = (await readFile(path, "utf8")).split("\n");
    lines[1] = "\u0000\u0000garbage";
    await writeFile(path, lines.join("\n"));
    const logger = captureLogger();
    const { entries } = await read(logger);
    // The start alone still says which process to end.
    expect(entries.map((entry) => [entry.attemptId, entry.started?.pid])).toEqual([
      [uuidOf("a"), undefined],
      [uuidOf("b"), 42],
    ]);
    expect(logger.has(/damaged in 1 line\(s\) \(2\)/, "error")).toBe(true);
    expect(await readFile(`${path}.damaged`, "utf8")).toContain("garbage");
  });

  describe("on a disk that is full for a while", () => {
    interface Disk {
      readonly files: JournalFiles;
      isFull: boolean;
      text: string;
    }

    /** A file in memory whose disk can be full. */
    function fullDisk(): Disk {
      const disk: Disk = {
        isFull: false,
        text: "",
        files: {
          read: () => Promise.resolve(disk.text),
          replace(_path: string, text: string) {
            if (disk.isFull) return Promise.reject(new Error("ENOSPC"));
            disk.text = text;
            return Promise.resolve();
          },
          openLog: () =>
            Promise.resolve({
              append(text: string) {
                if (disk.isFull) return Promise.reject(new Error("ENOSPC"));
                disk.text += text;
                return Promise.resolve();
              },
              close: () => Promise.resolve(),
            }),
        },
      };
      return disk;
    }
    const acked = (attemptId: string): JournalRecord => ({ kind: "acked", attemptId, fence: 1 });
    const kindsIn = (text: string): readonly string[] =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as JournalRecord)
        .map(({ kind, attemptId }) => `${kind} ${attemptId}`);

    it("what happened meanwhile is written before the next record, and what was not taken never", async () => {
      const disk = fullDisk();
      const journal = fileJournal({ path, logger: silentLogger, timers: systemTimers, files: disk.files });
      await journal.open();
      await journal.append(accepted(uuidOf("a")));
      disk.isFull = true;
      for (const record of [
        started(uuidOf("a")),
        accepted(uuidOf("refused")),
        finished(uuidOf("a")),
        acked(uuidOf("a")),
      ])
        await expect(journal.append(record)).rejects.toThrow("ENOSPC");
      disk.isFull = false;
      await journal.append(accepted(uuidOf("b")));
      expect(kindsIn(disk.text)).toEqual([
        `accepted ${uuidOf("a")}`,
        `started ${uuidOf("a")}`,
        `finished ${uuidOf("a")}`,
        `acked ${uuidOf("a")}`,
        `accepted ${uuidOf("b")}`,
      ]);
    });

    it("is written without a next record when there is room again", async () => {
      const disk = fullDisk();
      const ports = manualPorts();
      const logger = captureLogger();
      const journal = fileJournal({ path, logger, timers: ports.timers, files: disk.files });
      await journal.open();
      await journal.append(accepted(uuidOf("a")));
      disk.isFull = true;
      for (const record of [finished(uuidOf("a")), acked(uuidOf("a"))])
        await expect(journal.append(record)).rejects.toThrow("ENOSPC");
      await ports.advance(5_000);
      disk.isFull = false;
      await ports.advance(1_000);
      expect(kindsIn(disk.text)).toEqual([
        `accepted ${uuidOf("a")}`,
        `finished ${uuidOf("a")}`,
        `acked ${uuidOf("a")}`,
      ]);
      expect(logger.has("can be written again", "info")).toBe(true);
      // And again, the next time.
      disk.isFull = true;
      await expect(journal.append(started(uuidOf("b")))).rejects.toThrow("ENOSPC");
      disk.isFull = false;
      await ports.advance(1_000);
      expect(kindsIn(disk.text).at(-1)).toBe(`started ${uuidOf("b")}`);
      expect(ports.timers.pendingDelays()).toEqual([]);
    });

    it("is written when it closes, and a program that starts meanwhile goes on with the file as it is", async () => {
      const disk = fullDisk();
      const first = fileJournal({ path, logger: silentLogger, timers: systemTimers, files: disk.files });
      await first.open();
      await first.append(accepted(uuidOf("a")));
      disk.isFull = true;
      await expect(first.append(finished(uuidOf("a")))).rejects.toThrow("ENOSPC");
      const second = fileJournal({ path, logger: silentLogger, timers: systemTimers, files: disk.files });
      expect((await second.open()).entries.map(({ attemptId }) => attemptId)).toEqual([uuidOf("a")]);
      disk.isFull = false;
      await first.close();
      expect(kindsIn(disk.text)).toEqual([`accepted ${uuidOf("a")}`, `finished ${uuidOf("a")}`]);
      await second.append(accepted(uuidOf("b")));
      expect(kindsIn(disk.text).at(-1)).toBe(`accepted ${uuidOf("b")}`);
    });

    it("an end that is written after its acknowledgement brings nothing back", async () => {
      await write([accepted(uuidOf("a")), acked(uuidOf("a")), started(uuidOf("a")), finished(uuidOf("a"))]);
      expect(await read()).toMatchObject({ entries: [], ackedIds: [uuidOf("a")] });
      // Under a higher fence it may be taken again.
      await write([accepted(uuidOf("a"), 2), started(uuidOf("a"))]);
      expect((await read()).entries).toMatchObject([{ attemptId: uuidOf("a"), fence: 2, started: { pid: 42 } }]);
    });
  });

  it("does not resolve an append before the disk has it, and keeps the order", async () => {
    const events: string[] = [];
    let release: (() => void) | undefined;
    const files: JournalFiles = {
      read: () => Promise.resolve(null),
      replace: () => Promise.resolve(),
      openLog: () =>
        Promise.resolve({
          append(text: string) {
            events.push(`write ${(JSON.parse(text) as JournalRecord).attemptId}`);
            return new Promise<void>((resolve) => {
              release = () => {
                events.push("fsync");
                resolve();
              };
            });
          },
          close: () => Promise.resolve(),
        }),
    };
    const journal = fileJournal({ path, logger: silentLogger, timers: systemTimers, files });
    await journal.open();
    const appended = journal.append(accepted(uuidOf("a"))).then(() => events.push("told"));
    await Promise.resolve();
    expect(events).toEqual([`write ${uuidOf("a")}`]);
    release?.();
    await appended;
    expect(events).toEqual([`write ${uuidOf("a")}`, "fsync", "told"]);
  });

  it("waits for the disk with what a loss of power must not take, and only with that", async () => {
    const written: string[] = [];
    const files: JournalFiles = {
      read: () => Promise.resolve(null),
      replace: () => Promise.resolve(),
      openLog: () =>
        Promise.resolve({
          append(text: string, where = "disk") {
            written.push(`${(JSON.parse(text) as JournalRecord).kind} ${where}`);
            return Promise.resolve();
          },
          close: () => Promise.resolve(),
        }),
    };
    const journal = fileJournal({ path, logger: silentLogger, timers: systemTimers, files });
    await journal.open();
    const acked: JournalRecord = { kind: "acked", attemptId: uuidOf("a"), fence: 3 };
    const adopted: JournalRecord = { kind: "adopted", attemptId: uuidOf("a"), fence: 3 };
    for (const record of [
      accepted(uuidOf("a")),
      started(uuidOf("a")),
      adopted,
      exited(uuidOf("a")),
      finished(uuidOf("a")),
      acked,
    ])
      await journal.append(record);
    expect(written).toEqual([
      "accepted disk",
      "started system",
      "adopted disk",
      "started disk",
      "finished disk",
      "acked system",
    ]);
  });

  it("rejects an append that the disk refused", async () => {
    const full = new Error("ENOSPC");
    const files: JournalFiles = {
      read: () => Promise.resolve(null),
      replace: () => Promise.resolve(),
      openLog: () => Promise.resolve({ append: () => Promise.reject(full), close: () => Promise.resolve() }),
    };
    const journal = fileJournal({ path, logger: silentLogger, timers: systemTimers, files });
    await journal.open();
    await expect(journal.append(accepted(uuidOf("a")))).rejects.toBe(full);
  });

  it("shortens itself while it is in use, losing nothing", async () => {
    const done = Array.from({ length: 60 }, (_, index) => uuidOf(`${index} done`));
    const records = done.flatMap((id): JournalRecord[] => [
      accepted(id),
      started(id),
      started(id),
      started(id),
      started(id),
      finished(id),
      { kind: "acked", attemptId: id, fence: 1 },
    ]);
    const journal = fileJournal({ path, logger: silentLogger, timers: systemTimers, compactAfterLines: 100 });
    await journal.open();
    await Promise.all([journal.append(accepted(uuidOf("kept"))), ...records.map((record) => journal.append(record))]);
    for (const record of records) await journal.append(record);
    await journal.append(started(uuidOf("kept")));
    await journal.close();
    const lines = (await readFile(path, "utf8")).trim().split("\n");
    expect(lines.length).toBeLessThan(records.length);
    const { entries, ackedIds } = await read();
    expect(entries.map((entry) => [entry.attemptId, entry.started?.pid])).toEqual([[uuidOf("kept"), 42]]);
    expect(ackedIds.toSorted()).toEqual(done.toSorted());
  });

  it("starts empty, and its file is not for others to read", async () => {
    expect(await read()).toEqual({ entries: [], ackedIds: [] });
    const { mode } = await import("node:fs/promises").then((fs) => fs.stat(path));
    if (process.platform !== "win32") expect(mode & 0o077).toBe(0);
  });
});
