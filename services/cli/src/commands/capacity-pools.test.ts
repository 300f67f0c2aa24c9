import { wire } from "@headroom/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, runTestCli, startTestServices } from "../cli.test-helper.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const asked: wire.ListPoolCapacityRequest[] = [];
afterEach(() => asked.splice(0));

/** A registry with these pools, which gives 1,000 on a page at most. */
async function run(pools: readonly wire.PoolCapacity[], ...args: readonly string[]): Promise<CliOutcome> {
  const listPoolCapacity = (request: wire.ListPoolCapacityRequest): Promise<wire.ListPoolCapacityResponse> => {
    asked.push(request);
    if (request.pageSize > 1_000) throw new Error(`page_size is ${request.pageSize}`);
    const to = Number(request.pageToken) + request.pageSize;
    const page = pools.slice(Number(request.pageToken), to);
    return Promise.resolve({ pools: page, nextPageToken: to < pools.length ? String(to) : "" });
  };
  const services = await startTestServices({ capacity: { listPoolCapacity } });
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, "capacity", ...args]);
}

const gpu = wire.PoolCapacity.create({
  poolName: "gpu",
  agentsOnline: 3,
  agentsTotal: 4,
  cpuCoresAvailable: 12.5,
  cpuCoresPhysical: 48,
  memoryAvailableGb: 90,
  memoryTotalGb: 192,
  gpuVramAvailableGb: 30,
  gpuVramTotalGb: 72,
  gpuVramAvailableLargestCardGb: 20,
});
const plain = wire.PoolCapacity.create({ poolName: "plain", agentsTotal: 1 });
const many = Array.from({ length: 2_300 }, (_, index) => wire.PoolCapacity.create({ poolName: `pool-${index}` }));

describe("capacity --pools", () => {
  it("shows one row a pool: who is online, what is free, and the largest free card", async () => {
    const { code, stdout, stderr } = await run([gpu, plain], "--pools");
    expect(stdout).toMatch(/^POOL +ONLINE +CPU FREE +MEMORY FREE +VRAM FREE +LARGEST ON ONE CARD\n/);
    expect(stdout).toMatch(/\ngpu +3 \/ 4 +12.5 \/ 48 +90 \/ 192 GiB +30 \/ 72 GiB +20 GiB\n/);
    expect(stdout).toMatch(/\nplain +0 \/ 1 +0 \/ 0 +- +- +-\n$/);
    expect([code, stderr]).toEqual([0, ""]);
  });

  it("asks for all pages, and as JSON is what REST prints", async () => {
    const { stdout, stderr } = await run(many, "--pools", "-o", "json");
    const answer = JSON.parse(stdout) as { pools: { pool_name: string }[]; next_page_token: string };
    expect(answer.pools.map((pool) => pool.pool_name)).toEqual(many.map(({ poolName }) => poolName));
    expect([asked.length, answer.next_page_token, stderr]).toEqual([3, "", ""]);
  });

  it("stops at a limit, and says that there are more", async () => {
    const { stdout, stderr } = await run(many, "--pools", "--limit", "2");
    expect(stdout.trimEnd().split("\n")).toHaveLength(3);
    expect(stderr).toBe("there are more; --limit shows up to 100000\n");
  });

  it("passes a pool on, and says where there is none", async () => {
    const { code, stdout, stderr } = await run([], "--pools", "--pool", "attic");
    expect(asked).toMatchObject([{ poolName: "attic" }]);
    expect(stderr).toBe("no desktop is known in pool attic; headroom capacity --pools shows all pools\n");
    expect([code, stdout]).toEqual([0, ""]);
    expect((await run([], "--pools")).stderr).toContain("no desktop is known, so there is no pool;");
  });

  it.each([
    [["--min-cpu-cores", "2"], /'--pools' cannot be used with option '--min-cpu-cores <n>'/],
    [["--sort", "cpu"], /'--pools' cannot be used with option '--sort <field>'/],
    [["desk-1"], /--pools shows the sums of pools, and "desk-1" names one agent \(AGENT_WITH_POOLS\)/],
  ])("refuses what it would not heed: %j", async (args, message) => {
    const { code, stdout, stderr } = await run([gpu], "--pools", ...args);
    expect(stderr).toMatch(message);
    expect([code, stdout, asked]).toEqual([1, "", []]);
  });
});
