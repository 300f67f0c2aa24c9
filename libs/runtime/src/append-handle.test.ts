/** On Windows a file that is open for appending cannot be cut by its handle. Here Linux refuses it too. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { mkdir, open, readdir, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "./bundled-process.test-helper.ts";
import { cutOpenFile, openDurableLog } from "./index.ts";
import { RotatingFile } from "./log-file.ts";

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return {
    ...fs,
    ftruncateSync: (fd: number, length?: number): void => {
      if (isAppending(fd)) throw refusal();
      fs.ftruncateSync(fd, length);
    },
  };
});

const refusal = (): Error => Object.assign(new Error("EPERM: operation not permitted"), { code: "EPERM" });

function isAppending(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
  return (Number.parseInt(flags, 8) & 0o2000) !== 0;
}

async function fileMethods(): Promise<FileHandle> {
  const probe = await open("/dev/null");
  await probe.close();
  return Object.getPrototypeOf(probe) as FileHandle;
}

describe.runIf(process.platform === "linux")("a file that is open for appending alone", () => {
  let path: string;
  let methods: FileHandle;
  beforeEach(async () => {
    path = join(await temporaryFolder(), "file.log");
    methods = await fileMethods();
    const truncate: (this: FileHandle, length?: number) => Promise<void> = Reflect.get(methods, "truncate");
    vi.spyOn(methods, "truncate").mockImplementation(function (this: FileHandle, length) {
      return isAppending(this.fd) ? Promise.reject(refusal()) : truncate.call(this, length);
    });
  });
  afterEach(() => vi.restoreAllMocks());

  it("a durable log undoes a write that failed, and goes on behind what stands", async () => {
    writeFileSync(path, "one\n");
    const log = await openDurableLog(path);
    vi.spyOn(methods, "datasync").mockRejectedValueOnce(new Error("EIO"));
    await expect(log.append("refused\n")).rejects.toThrow("EIO");
    expect(readFileSync(path, "utf8")).toBe("one\n");
    await log.append("two\n");
    await log.close();
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
  });

  it("is not cut by a name that another file has by now", async () => {
    const file = await open(path, "a+");
    await file.appendFile("ours\n");
    renameSync(path, `${path}.old`);
    writeFileSync(path, "another's\n");
    await expect(cutOpenFile(file, path, 0)).rejects.toThrow("EPERM");
    expect(readFileSync(path, "utf8")).toBe("another's\n");
    await file.close();
  });

  it("a log that cannot be rotated starts anew", async () => {
    const log = new RotatingFile({ file: path, maxFileBytes: 10, maxFiles: 2 });
    log.write("first\n");
    // Nothing can be renamed to it.
    await mkdir(join(path.replace(/\.log$/, ".1.log"), "full"), { recursive: true });
    log.write("second\n");
    log.close();
    expect([readFileSync(path, "utf8"), log.droppedLines]).toEqual(["second\n", 0]);
    expect(await readdir(join(path, ".."))).toEqual(["file.1.log", "file.log"]);
  });
});
