import { mkdir, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  captureLogger,
  makeTempDir,
  manualPorts,
  type CapturingLogger,
  type ManualPorts,
  type TempDir,
} from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fileOutputStores } from "./file-segments.ts";
import { memoryOutputStores } from "./memory-segments.ts";
import { OutputSpool } from "./output-spool.ts";
import type { SegmentStore } from "./segment-store.ts";

let dir: TempDir;
let ports: ManualPorts;
let logger: CapturingLogger;
let spools: OutputSpool[];
beforeEach(async () => {
  dir = await makeTempDir("unreadable output");
  ports = manualPorts();
  logger = captureLogger();
  spools = [];
});
afterEach(async () => {
  for (const spool of spools) await spool.close();
  await dir.remove();
});

const spoolDir = (): string => join(dir.path, "spool");
const attemptDir = (): string => join(spoolDir(), "a");
const segmentPath = (segment: number): string => join(attemptDir(), `${String(segment).padStart(8, "0")}.out`);
const leftOut = (what: string): string =>
  `${what} left out here: it was stored on the agent's disk and could not be read there\n`;

function spoolOn(store: SegmentStore): OutputSpool {
  // Two chunks a segment: each counts 128 bytes beside its data.
  const spool = new OutputSpool({ store, ports, logger, onMore: () => undefined, maxBytes: 16 * 270 });
  spools.push(spool);
  return spool;
}

async function write(spool: OutputSpool, ...words: readonly string[]): Promise<void> {
  for (const word of words) {
    await spool.write("stdout", Buffer.from(word));
    await spool.flush();
  }
}

async function textsOf(spool: OutputSpool): Promise<readonly (readonly [number, string])[]> {
  const texts: (readonly [number, string])[] = [];
  for (let seq = 1; ;) {
    const piece = await spool.read(seq);
    if (piece === null) return texts;
    texts.push([piece.seq, piece.data.toString()]);
    seq = piece.seq + 1;
  }
}

/** Three segments of two pieces, left by an earlier program. */
async function sixPiecesOnTheDisk(): Promise<void> {
  const before = spoolOn(fileOutputStores(spoolDir()).open("a"));
  await write(before, "1", "2", "3", "4", "5", "6");
  await before.close();
  expect(await readdir(attemptDir())).toHaveLength(3);
}

async function spoil(segment: number): Promise<void> {
  await rm(segmentPath(segment));
  await mkdir(segmentPath(segment));
}

/** Fails as often as it is tried meanwhile, for the time in which a disk may come back. */
async function outlastPatience(spool: OutputSpool): Promise<void> {
  for (let tries = 0; tries < 2; tries += 1) await expect(spool.read(1)).rejects.toThrow();
  await ports.advance(60_000);
}

it("stored output that cannot be read for a moment is read later, all of it", async () => {
  const store = memoryOutputStores().open("a");
  let isBroken = false;
  const spool = spoolOn({
    ...store,
    read: (chunk) => (isBroken ? Promise.reject(new Error("EIO")) : store.read(chunk)),
  });
  await write(spool, "1", "2");
  isBroken = true;
  for (let tries = 0; tries < 100; tries += 1) await expect(spool.read(1)).rejects.toThrow("EIO");
  await ports.advance(59_000);
  await expect(spool.read(1)).rejects.toThrow("EIO");
  isBroken = false;
  expect(await textsOf(spool)).toEqual([
    [1, "1"],
    [2, "2"],
  ]);
  isBroken = true;
  await ports.advance(59_000);
  await expect(spool.read(1)).rejects.toThrow("EIO");
});

it("a piece that stays unreadable is left out, with words in its place, and the others follow", async () => {
  const store = memoryOutputStores().open("a");
  const spool = spoolOn({
    ...store,
    read: (chunk) => (chunk.seq === 2 ? Promise.reject(new Error("EIO")) : store.read(chunk)),
  });
  await write(spool, "1", "two", "3");
  for (let tries = 0; tries < 2; tries += 1) await expect(textsOf(spool)).rejects.toThrow("EIO");
  expect((await spool.read(1))?.data.toString()).toBe("1");
  for (let tries = 0; tries < 2; tries += 1) await expect(spool.read(2)).rejects.toThrow("EIO");
  await ports.advance(60_000);
  expect(await spool.read(2)).toMatchObject({ seq: 2, source: "headroom" });
  expect(await textsOf(spool)).toEqual([
    [1, "1"],
    [2, leftOut("3 bytes of output")],
    [3, "3"],
  ]);
  expect(logger.has("stays unreadable", "warn")).toBe(true);
  spool.delivered(3);
  expect(spool.isDelivered).toBe(true);
});

it("a piece that is removed while it is read, because it was delivered, has not failed", async () => {
  const store = memoryOutputStores().open("a");
  const spool: OutputSpool = spoolOn({
    ...store,
    async read(chunk) {
      if (chunk.seq !== 1) return store.read(chunk);
      spool.delivered(2);
      await spool.flush();
      return store.read(chunk);
    },
  });
  await write(spool, "1", "2", "3");
  expect(await spool.read(1)).toMatchObject({ seq: 3 });
});

it("a file that was cut short does not count as empty output", async () => {
  const spool = spoolOn(fileOutputStores(spoolDir()).open("a"));
  await write(spool, "1");
  await truncate(segmentPath(1), 3);
  await expect(spool.read(1)).rejects.toThrow("ends within");
});

it.each([
  [
    "the first",
    [1],
    [
      [2, leftOut("some output")],
      [3, "3"],
      [4, "4"],
      [5, "5"],
      [6, "6"],
    ],
  ],
  [
    "one in the middle",
    [2],
    [
      [1, "1"],
      [2, "2"],
      [3, leftOut("some output")],
      [5, "5"],
      [6, "6"],
    ],
  ],
  [
    "the last",
    [3],
    [
      [1, "1"],
      [2, "2"],
      [3, "3"],
      [4, "4"],
      [6, leftOut("some output")],
    ],
  ],
  ["every one", [1, 2, 3], [[6, leftOut("some output")]]],
])(
  "of what an earlier program left, %s of the segments that cannot be read costs only itself",
  async (_which, bad, texts) => {
    await sixPiecesOnTheDisk();
    for (const segment of bad) await spoil(segment);
    const spool = spoolOn(fileOutputStores(spoolDir()).open("a"));
    await expect(spool.load(6)).rejects.toThrow("EISDIR");
    expect(spool.isDelivered).toBe(false);
    await outlastPatience(spool);
    expect(await textsOf(spool)).toEqual(texts);
    spool.delivered(6);
    expect(spool.isDelivered).toBe(true);
  },
);

it("what an earlier program left is there in full when it can be read a little later", async () => {
  await sixPiecesOnTheDisk();
  const store = fileOutputStores(spoolDir()).open("a");
  let isBroken = true;
  const spool = spoolOn({ ...store, load: () => (isBroken ? Promise.reject(new Error("EMFILE")) : store.load()) });
  await expect(spool.load()).rejects.toThrow("EMFILE");
  expect(spool.isDelivered).toBe(false);
  await expect(spool.read(1)).rejects.toThrow("EMFILE");
  isBroken = false;
  // Two streams that follow each other.
  const [one, other] = await Promise.all([spool.read(1), spool.read(1)]);
  expect([one?.seq, other?.seq]).toEqual([1, 1]);
  expect((await textsOf(spool)).map(([, text]) => text)).toEqual(["1", "2", "3", "4", "5", "6"]);
});

it("a folder that cannot be listed is not taken for none", async () => {
  await mkdir(spoolDir());
  await writeFile(attemptDir(), "not a folder");
  const spool = spoolOn(fileOutputStores(spoolDir()).open("a"));
  await expect(spool.load()).rejects.toThrow("ENOTDIR");
  expect(spool.isDelivered).toBe(false);
});

it("a folder of all output that cannot be listed is said, and what is known to be in it is still removed", async () => {
  expect(await fileOutputStores(spoolDir(), logger).list()).toEqual([]);
  expect(logger.records).toEqual([]);
  await writeFile(spoolDir(), "not a folder");
  const stores = fileOutputStores(spoolDir(), logger);
  expect(await stores.list()).toEqual([]);
  expect(logger.has("the folder of stored output cannot be read", "warn")).toBe(true);
  await rm(spoolDir());
  await sixPiecesOnTheDisk();
  await stores.open("a").remove();
  expect(await readdir(spoolDir())).toEqual([]);
});
