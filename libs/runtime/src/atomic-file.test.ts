import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { runScript, temporaryFolder } from "./bundled-process.test-helper.ts";
import {
  appendDurable,
  ensureDir,
  openDurableLog,
  readJsonFile,
  readJsonLines,
  writeFileAtomic,
  writeJsonFile,
} from "./index.ts";

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe("writeFileAtomic", () => {
  it("replaces content and permissions, and leaves nothing beside", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "token");
    writeFileSync(path, "old", { mode: 0o644 });
    await writeFileAtomic(path, "new");
    expect([readFileSync(path, "utf8"), modeOf(path)]).toEqual(["new", 0o600]);
    await writeFileAtomic(path, new Uint8Array([65]), { mode: 0o664, fsync: false });
    expect([readFileSync(path, "utf8"), modeOf(path)]).toEqual(["A", 0o664]);
    expect(readdirSync(folder)).toEqual(["token"]);
  });

  it("a failure keeps the old content and removes the half-written file", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "target", "inside"), { recursive: true });
    await expect(writeFileAtomic(join(folder, "target"), "x")).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(["target"]);
    await expect(writeFileAtomic(join(folder, "no", "folder"), "x")).rejects.toThrow("ENOENT");
  });

  it("many writers at once: a reader sees one of the contents, whole", async () => {
    const path = join(await temporaryFolder(), "file");
    const contents = Array.from({ length: 20 }, (_, index) => String(index).repeat(10_000));
    await writeFileAtomic(path, contents[0] ?? "");
    const reading = Promise.all(contents.map(() => readFile(path, "utf8")));
    await Promise.all(contents.map((content) => writeFileAtomic(path, content, { fsync: false })));
    for (const seen of [...(await reading), await readFile(path, "utf8")]) expect(contents).toContain(seen);
  });
});

describe("ensureDir", () => {
  it("creates with the mode, whatever the umask", async () => {
    const before = process.umask(0o077);
    try {
      const folder = join(await temporaryFolder(), "a", "b");
      await ensureDir(folder, 0o755);
      expect(modeOf(folder)).toBe(0o755);
      await ensureDir(join(folder, "c"));
      expect(modeOf(join(folder, "c"))).toBe(0o700);
    } finally {
      process.umask(before);
    }
  });

  it("leaves the mode of a folder that was there, and refuses a file", async () => {
    const folder = await temporaryFolder();
    for (const mode of [0o750, 0o777, 0o700]) {
      chmodSync(folder, mode);
      await ensureDir(folder, 0o755);
      await ensureDir(folder);
      expect(modeOf(folder)).toBe(mode);
    }
    writeFileSync(join(folder, "file"), "");
    await expect(ensureDir(join(folder, "file"))).rejects.toThrow("EEXIST");
  });
});

describe("openDurableLog", () => {
  it("keeps the order of appends made at once, and close waits for them", async () => {
    const path = join(await temporaryFolder(), "journal");
    const log = await openDurableLog(path);
    const appends = Array.from({ length: 200 }, (_, n) => log.append(`${JSON.stringify({ n })}\n`));
    await Promise.all([log.close(), log.close()]);
    await Promise.all(appends);
    await expect(log.append("late\n")).rejects.toThrow("is closed");
    expect((await readJsonLines(path)).values).toEqual(Array.from({ length: 200 }, (_, n) => ({ n })));
    expect(modeOf(path)).toBe(0o600);
  });

  it("ends a torn last line, so that the next record is whole", async () => {
    const path = join(await temporaryFolder(), "journal");
    await writeFile(path, '{"n":1}\n{"n":2');
    await appendDurable(path, '{"n":3}\n');
    await appendDurable(path, '{"n":4}\n');
    expect(await readJsonLines(path)).toEqual({ values: [{ n: 1 }, { n: 3 }, { n: 4 }], badLines: 1 });
  });

  it("what was appended is there after a kill -9", async () => {
    const path = join(await temporaryFolder(), "journal");
    const script = await runScript(`
      import { openDurableLog } from "./index.ts";
      const log = await openDurableLog(${JSON.stringify(path)});
      for (let n = 0; ; n += 1) { await log.append(JSON.stringify({ n }) + "\\n"); process.stdout.write(n + "\\n"); }
    `);
    await vi.waitFor(() => expect(script.stdout().split("\n").length).toBeGreaterThan(20), { timeout: 20_000 });
    script.child.kill("SIGKILL");
    await script.ended;
    const acknowledged = script
      .stdout()
      .split("\n")
      .filter((line) => line !== "").length;
    const { values } = await readJsonLines(path);
    expect(values.length).toBeGreaterThanOrEqual(acknowledged);
    expect(values.slice(0, acknowledged)).toEqual(Array.from({ length: acknowledged }, (_, n) => ({ n })));
  });
});

describe("json files", () => {
  it("a value comes back; missing and corrupt files are told apart", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "state.json");
    expect(await readJsonFile(path)).toEqual({ kind: "missing" });
    await writeJsonFile(path, { a: [1, "ü"] });
    expect(await readJsonFile(path)).toEqual({ kind: "ok", value: { a: [1, "ü"] } });
    writeFileSync(path, "{");
    const corrupt = await readJsonFile(path);
    expect(corrupt.kind === "corrupt" && corrupt.error.message.startsWith(`${path} is not JSON`)).toBe(true);
    await expect(readJsonFile(folder)).rejects.toThrow("EISDIR");
    expect(await readJsonLines(join(folder, "none"))).toEqual({ values: [], badLines: 0 });
  });
});
