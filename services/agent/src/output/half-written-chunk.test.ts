import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "@headroom/testing";
import { afterEach, expect, it, vi } from "vitest";
import { fileOutputStores } from "./file-segments.ts";

afterEach(() => vi.restoreAllMocks());

it("a chunk of which half was written is cut off, also where a handle that only appends may not (Windows)", async () => {
  const dir = await makeTempDir("half-written chunk");
  const probe = await open(join(dir.path, "probe"), "w");
  // What every open file has in common.
  const methods = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const store = fileOutputStores(dir.path).open("a");
  const chunk = { source: "stdout", atMs: 1 } as const;
  await store.append(1, { ...chunk, seq: 1 }, Buffer.from("one"));
  vi.spyOn(methods, "appendFile").mockImplementationOnce(async function (this: FileHandle, data) {
    await this.write(Buffer.from(data as Buffer).subarray(0, 20));
    throw new Error("ENOSPC");
  });
  const refusal = Object.assign(new Error("EPERM"), { code: "EPERM" });
  vi.spyOn(methods, "truncate").mockRejectedValueOnce(refusal);
  await expect(store.append(1, { ...chunk, seq: 2 }, Buffer.from("lost"))).rejects.toThrow("ENOSPC");
  const last = await store.append(1, { ...chunk, seq: 2 }, Buffer.from("two"));
  expect(String(await store.read(last))).toBe("two");
  expect((await store.load()).chunks.map(({ seq }) => seq)).toEqual([1, 2]);
  await store.close();
  await dir.remove();
});
