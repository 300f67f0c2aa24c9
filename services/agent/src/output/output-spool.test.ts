import { appendFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileOutputStores } from "./file-segments.ts";
import { memoryOutputStores } from "./memory-segments.ts";
import { OutputSpool, type OutputPiece } from "./output-spool.ts";
import type { OutputStores, SegmentStore } from "./segment-store.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("spool");
});
let spools: OutputSpool[] = [];
afterEach(async () => {
  for (const spool of spools) await spool.close();
  spools = [];
  await dir.remove();
});

function spoolOf(store: SegmentStore, maxBytes?: number): OutputSpool {
  const spool = new OutputSpool({
    store,
    ports: systemPorts,
    logger: silentLogger,
    onMore: () => undefined,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  spools.push(spool);
  return spool;
}

async function readAll(spool: OutputSpool, from = 1): Promise<OutputPiece[]> {
  const pieces: OutputPiece[] = [];
  for (let seq = from; ;) {
    const piece = await spool.read(seq);
    if (piece === null) return pieces;
    pieces.push(piece);
    seq = piece.seq + 1;
  }
}

const bytesOf = (pieces: readonly OutputPiece[], source: string): Buffer =>
  Buffer.concat(pieces.filter((piece) => piece.source === source).map((piece) => piece.data));

const kinds: readonly (readonly [string, () => OutputStores])[] = [
  ["in memory", () => memoryOutputStores()],
  ["in files", () => fileOutputStores(join(dir.path, "spool"))],
];

describe.each(kinds)("OutputSpool %s", (_name, stores) => {
  it("keeps every byte and the order of the two streams, in pieces of at most 64 KiB", async () => {
    const spool = spoolOf(stores().open("a"));
    const big = Buffer.alloc(150_000, 7);
    await spool.write("stdout", Buffer.from("one"));
    await spool.write("stdout", Buffer.from("two"));
    await spool.write("stderr", Buffer.from([0, 255, 128]));
    await spool.write("stdout", big);
    await spool.flush();
    const pieces = await readAll(spool);
    expect(pieces.slice(0, 2).map((piece) => [piece.seq, piece.source, piece.data.toString("latin1")])).toEqual([
      [1, "stdout", "onetwo"],
      [2, "stderr", "\u0000\u00ff\u0080"],
    ]);
    expect(pieces.every((piece) => piece.data.length <= 65_536)).toBe(true);
    expect(bytesOf(pieces, "stdout").equals(Buffer.concat([Buffer.from("onetwo"), big]))).toBe(true);
    expect(spool.lastSeq).toBe(pieces.length);
  });

  it("forgets what was delivered and nothing else", async () => {
    const spool = spoolOf(stores().open("a"));
    for (const word of ["a", "b", "c"]) {
      await spool.write("stdout", Buffer.from(word));
      await spool.flush();
    }
    spool.delivered(2);
    expect((await readAll(spool)).map((piece) => piece.seq)).toEqual([3]);
    expect(spool.isDelivered).toBe(false);
    spool.delivered(3);
    expect(spool.isDelivered).toBe(true);
    await spool.write("stdout", Buffer.from("d"));
    await spool.flush();
    expect((await readAll(spool)).map((piece) => [piece.seq, piece.data.toString()])).toEqual([[4, "d"]]);
  });

  it("leaves out the middle beyond its bound, says how much, and keeps beginning and end", async () => {
    const maxBytes = 64_000;
    const spool = spoolOf(stores().open("a"), maxBytes);
    const total = 1_000;
    for (let line = 0; line < total; line += 1) {
      await spool.write(
        line % 2 === 0 ? "stdout" : "stderr",
        Buffer.from(`${String(line).padStart(6, "0")}${".".repeat(993)}\n`),
      );
    }
    await spool.flush();
    const pieces = await readAll(spool);
    const kept = pieces.filter((piece) => piece.source !== "headroom");
    const gaps = pieces.filter((piece) => piece.source === "headroom");
    expect(gaps).toHaveLength(1);
    const left = /(\d+) bytes of output left out/.exec(gaps[0]?.data.toString() ?? "")?.[1];
    const keptBytes = kept.reduce((sum, piece) => sum + piece.data.length, 0);
    expect(Number(left)).toBe(total * 1_000 - keptBytes);
    expect(keptBytes).toBeLessThanOrEqual(maxBytes);
    expect(keptBytes).toBeGreaterThan(maxBytes / 2);
    expect(kept[0]?.data.toString()).toMatch(/^000000/);
    expect(kept.at(-1)?.data.toString()).toMatch(/^000999/);
    const numbers = pieces.map((piece) => piece.seq);
    expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
  });

  it("while it is delivered too slowly, one gap grows instead of many", async () => {
    const spool = spoolOf(stores().open("a"), 64_000);
    const received: OutputPiece[] = [];
    const receive = async (): Promise<boolean> => {
      const piece = await spool.read((received.at(-1)?.seq ?? 0) + 1);
      if (piece === null) return false;
      received.push(piece);
      spool.delivered(piece.seq);
      return true;
    };
    // 500 pieces of 1,000 bytes; of five written, two are delivered.
    for (let line = 0; line < 500; line += 1) {
      await spool.write(line % 2 === 0 ? "stdout" : "stderr", Buffer.from(`${line}`.padEnd(1_000)));
      if (line % 5 === 0) for (let turn = 0; turn < 2; turn += 1) await receive();
    }
    await spool.flush();
    while (await receive());
    const notes = received.filter((piece) => piece.source === "headroom").map((piece) => piece.data.toString());
    const kept = received.filter((piece) => piece.source !== "headroom").length * 1_000;
    const left = notes.reduce((sum, note) => sum + Number(/^(\d+) bytes of output left out here/.exec(note)?.[1]), 0);
    expect(kept + left).toBe(500_000);
    // A note for each 32,000 bytes that come through before it, not one for each segment of 4,000.
    expect(notes.length).toBeLessThanOrEqual(Math.ceil(kept / 32_000));
    expect(received.at(-1)?.data.toString().trim()).toBe("499");
  });

  it("gives the next agent program what was not delivered", async () => {
    const shared = stores();
    const before = spoolOf(shared.open("a"));
    for (const word of ["a", "b", "c"]) {
      await before.write("stderr", Buffer.from(word));
      await before.flush();
    }
    before.delivered(1);
    await before.close();
    expect(await shared.list()).toEqual(["a"]);
    const after = spoolOf(shared.open("a"));
    await after.load();
    expect(after.lastSeq).toBe(3);
    expect((await readAll(after, 2)).map((piece) => [piece.seq, piece.source, piece.data.toString()])).toEqual([
      [2, "stderr", "b"],
      [3, "stderr", "c"],
    ]);
    await after.remove();
    expect(await shared.list()).toEqual([]);
  });
});

describe("OutputSpool", () => {
  it("gathers what a program writes line by line for a moment", async () => {
    const ports = manualPorts();
    let told = 0;
    const spool = new OutputSpool({
      store: memoryOutputStores().open("a"),
      ports,
      logger: silentLogger,
      onMore: () => (told += 1),
    });
    for (const line of ["a\n", "b\n", "c\n"]) await spool.write("stdout", Buffer.from(line));
    expect(await readAll(spool)).toEqual([]);
    await ports.advance(50);
    expect(told).toBe(1);
    expect((await readAll(spool)).map((piece) => piece.data.toString())).toEqual(["a\nb\nc\n"]);
  });

  it("goes on when the disk takes nothing, and says what is missing", async () => {
    const store: SegmentStore = {
      ...memoryOutputStores().open("a"),
      append: () => Promise.reject(new Error("ENOSPC")),
    };
    const spool = spoolOf(store);
    await spool.write("stdout", Buffer.from("12345"));
    await spool.flush();
    await spool.write("stdout", Buffer.from("678"));
    await spool.flush();
    expect((await readAll(spool)).map((piece) => piece.data.toString())).toEqual([
      expect.stringContaining("8 bytes of output left out"),
    ]);
  });

  it("reads what is whole of a file that a crash tore", async () => {
    const spoolDir = join(dir.path, "spool");
    const before = spoolOf(fileOutputStores(spoolDir).open("a"));
    await before.write("stdout", Buffer.from("whole"));
    await before.close();
    const [file = ""] = await readdir(join(spoolDir, "a"));
    await appendFile(join(spoolDir, "a", file), Buffer.from("HO\u0000torn"));
    const after = spoolOf(fileOutputStores(spoolDir).open("a"));
    await after.load();
    expect((await readAll(after)).map((piece) => piece.data.toString())).toEqual(["whole"]);
  });
});
