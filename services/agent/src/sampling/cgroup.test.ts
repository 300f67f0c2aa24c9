import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { allowedCpus, usableCpuCount } from "./cgroup.ts";

// Node 24 counts a control group's quota in, rounded down: as with --cpus=1.25.
vi.mock("node:os", async (original) => ({ ...(await original<object>()), availableParallelism: () => 1 }));

describe("the CPUs that a process may run on", () => {
  let dir: TempDir;
  beforeEach(async () => {
    dir = await makeTempDir("cpus");
  });
  afterEach(() => dir.remove());

  async function allowed(list: string, online: string | null): Promise<readonly number[] | null> {
    const [status, onlineFile] = [join(dir.path, "status"), join(dir.path, "online")];
    await writeFile(status, `Name:\tnode\nCpus_allowed_list:\t${list}\n`);
    if (online !== null) await writeFile(onlineFile, `${online}\n`);
    return allowedCpus(status, onlineFile);
  }

  it("DESIGN-3: are counted without the quota of a control group, which Node rounds to whole cores", () => {
    expect(usableCpuCount([0, 1])).toBe(2);
    expect(usableCpuCount(null)).toBe(1);
  });

  it("are those that are online: a machine allows also what it could have", async () => {
    expect(await allowed("0-127", "0-2,5")).toEqual([0, 1, 2, 5]);
    expect(await allowed("1", "0-2,5")).toEqual([1]);
  });

  it("are not known where the system does not tell which are online", async () => {
    expect(await allowed("0-127", null)).toBeNull();
  });
});
