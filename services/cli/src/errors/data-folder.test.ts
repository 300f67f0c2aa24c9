import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runTestCli } from "../cli.test-helper.ts";
import { dataFolderLine } from "./data-folder.ts";
import { renderError } from "./render.ts";

const wayOut = "choose another one with HEADROOM_DATA_DIR or --data-dir";
const parts = ["up", "registry", "orchestrator", "agent"];
const isRoot = process.getuid?.() === 0;

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("data-folder");
});
afterEach(() => dir.remove());

describe("a data folder that cannot be used is told in one line", () => {
  async function said(part: string, dataDir: string): Promise<string> {
    const { code, stderr } = await runTestCli([part], {
      env: { HEADROOM_DATA_DIR: dataDir, DATABASE_URL: "postgresql://localhost:1/none" },
    });
    expect(code).toBe(1);
    return stderr;
  }
  const line = (dataDir: string, reason: string): RegExp =>
    new RegExp(`^headroom: the data folder ${dataDir} cannot be used: ${reason}( \\(\\S+\\))?; ${wayOut}\n$`);

  it.each(parts)("%s: a file", async (part) => {
    const file = join(dir.path, "file");
    await writeFile(file, "");
    expect(await said(part, file)).toMatch(line(file, "not a directory"));
    expect(await said(part, join(file, "below"))).toMatch(line(join(file, "below"), "not a directory"));
  });

  it.runIf(process.platform === "linux").each(parts)("%s: where no folder can be made", async (part) => {
    expect(await said(part, "/proc/headroom")).toMatch(line("/proc/headroom", "no such file or directory"));
  });

  // Root may write everywhere.
  it.skipIf(isRoot || process.platform === "win32").each(parts)("%s: somebody else's", async (part) => {
    const closed = join(dir.path, "closed");
    await mkdir(closed);
    await chmod(closed, 0o555);
    for (const path of [closed, join(closed, "below")])
      expect(await said(part, path)).toMatch(line(path, "permission denied"));
  });

  it("names the folder of --data-dir", async () => {
    const file = join(dir.path, "file");
    await writeFile(file, "");
    const { stderr } = await runTestCli(["--data-dir", file, "agent"]);
    expect(stderr).toContain(`the data folder ${file} cannot be used`);
  });
});

describe("what the file system refuses", () => {
  const refused = (fields: Readonly<Record<string, unknown>>): Error => Object.assign(new Error("refused"), fields);
  const readOnly = { code: "EROFS", errno: -30, syscall: "open" };

  it("is of the data folder where its path lies there, or above where it is made", () => {
    const within = refused({ ...readOnly, path: "/data/run/x" });
    if (process.platform === "linux")
      expect(dataFolderLine(within, "/data")).toBe(
        `the data folder /data cannot be used: read-only file system (/data/run/x); ${wayOut}`,
      );
    expect(dataFolderLine(within, "/data/run/x/y")).toContain("cannot be used");
    expect(dataFolderLine(within, "/data2")).toBeNull();
    expect(dataFolderLine(within, "/data/ru")).toBeNull();
  });

  it("for want of room does not say where, and has another way out", () => {
    expect(dataFolderLine(refused({ code: "ENOSPC", syscall: "write" }), "/data")).toContain("make room there, or");
  });

  it("else is a fault of the program, told with its stack", () => {
    for (const error of [
      refused({ code: "ENOENT", syscall: "open", path: "/data/x" }),
      refused({ code: "EROFS", syscall: "write" }),
      refused({ code: "ECONNREFUSED", syscall: "connect" }),
      new TypeError("a bug"),
    ]) {
      expect(dataFolderLine(error, "/data")).toBeNull();
      expect(renderError(error, "/data")).toContain("please report it");
    }
  });

  it("is told of each of several errors", () => {
    const error = refused({ ...readOnly, path: "/data" });
    expect(renderError(new AggregateError([error, error]), "/data").match(/^headroom: the data folder/gm)).toHaveLength(
      2,
    );
  });
});
