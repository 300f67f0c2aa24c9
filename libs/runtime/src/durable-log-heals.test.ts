import { readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { temporaryFolder } from "./bundled-process.test-helper.ts";
import { openDurableLog } from "./index.ts";

afterEach(() => vi.restoreAllMocks());

it("a failed append that cannot be undone bars the log only as long as it cannot", async () => {
  const path = join(await temporaryFolder(), "journal");
  writeFileSync(path, "one\n");
  const log = await openDurableLog(path);
  const probe = await open(path);
  // What every open file has in common.
  const files = Object.getPrototypeOf(probe) as typeof probe;
  await probe.close();
  // The write reaches the file, the disk does not take it, and for a while nothing can be cut off.
  vi.spyOn(files, "datasync").mockRejectedValueOnce(new Error("EIO"));
  const truncate = vi.spyOn(files, "truncate").mockRejectedValue(new Error("EROFS"));
  await expect(log.append("refused\n")).rejects.toThrow("EIO");
  await expect(log.append("barred\n")).rejects.toThrow(/cannot be trusted/);
  truncate.mockRestore();
  await log.append("two\n");
  await log.close();
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
});
