import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { createDeferred, systemClock, systemPorts } from "@headroom/runtime";
import { makeTempDir, manualPorts, waitFor, type TempDir } from "@headroom/testing";
import systeminformation from "systeminformation";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { nothingMarked, type ProcessRow, type ProcessTable } from "../processes/process-table.ts";
import { systemProcessTable } from "../processes/system-table.ts";
import { parsePsLine } from "../processes/posix-table.ts";
import { attemptUses } from "./attempt-uses.ts";
import { Cgroup, parseCpuList, usableCpuCount } from "./cgroup.ts";
import { cgroupCpuLeft, cpuMemoryMeter, idleMillicores } from "./cpu-memory.ts";
import { declaredProbe } from "./declared.ts";
import { noCards } from "./gpu.ts";
import { machineSampler } from "./machine-sampler.ts";
import { ProcessUseTracker } from "./process-use.ts";
import { hasChanged } from "./sample-change.ts";
import type { ListedAttempt, Sampler } from "./sampler.ts";
import { unmeasuredUse } from "./unmeasured-use.ts";

const bytesPerMib = 1_048_576;
const nothingDeclared = { cpuMillicores: null, memoryMib: null, cards: null };
const everything = { cpuMillicores: null, memoryMib: null, vramMib: null };

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("sampling");
});
afterEach(() => dir.remove());

function thisMachine(more: Partial<Parameters<typeof machineSampler>[0]> = {}): Sampler {
  return machineSampler({
    ports: systemPorts,
    processes: systemProcessTable(),
    meter: cpuMemoryMeter({ clock: systemClock }),
    gpus: { read: () => Promise.resolve(noCards) },
    declared: nothingDeclared,
    offer: everything,
    ...more,
  });
}

const attempt = (
  attemptId: string,
  pid: number | null,
  cards: ListedAttempt["reserved"]["cards"] = [],
): ListedAttempt => ({
  attemptId,
  fence: 1,
  pid,
  reserved: { cpuMillicores: 1_000, memoryMib: 100, cards },
});

describe("a sample of this machine", () => {
  it("R-CAP-1: has the cores and the memory that the system tells", async () => {
    const sampler = thisMachine();
    await sampler.start();
    const sample = await sampler.sample([]);
    const limits = new Cgroup().limits();
    const cores = Math.min(usableCpuCount() * 1_000, limits.cpuMillicores ?? Number.POSITIVE_INFINITY);
    const memory = Math.min(Math.floor(totalmem() / bytesPerMib), limits.memoryMib ?? Number.POSITIVE_INFINITY);
    expect(sample.cpuMillicores).toMatchObject({ total: cores, declared: false });
    expect(sample.memoryMib).toMatchObject({ total: memory, declared: false });
    for (const dimension of [sample.cpuMillicores, sample.memoryMib]) {
      expect(Number.isInteger(dimension?.available)).toBe(true);
      expect(dimension?.available).toBeGreaterThanOrEqual(0);
      expect(dimension?.available).toBeLessThanOrEqual(dimension?.total ?? 0);
    }
    expect(sample.cpuLoad).toBeGreaterThanOrEqual(0);
    expect(sample.cpuLoad).toBeLessThanOrEqual(100);
    expect(sample.cards).toEqual([]);
    // What is sent can be encoded: no NaN, no half integer.
    expect(wire.Sample.decode(wire.Sample.encode(sample).finish()).memoryMib?.total).toBe(memory);
  });

  it("marks declared figures, and takes off them what its own attempts use", async () => {
    const sampler = thisMachine({
      declared: { cpuMillicores: 64_000, memoryMib: 262_144, cards: null },
      gpus: declaredProbe([{ model: "RTX 4090", vramMib: 24_576 }]),
      offer: { cpuMillicores: 32_000, memoryMib: null, vramMib: 20_480 },
    });
    const sample = await sampler.sample([]);
    expect(sample.cpuMillicores).toEqual({ total: 64_000, available: 64_000, offer: 32_000, declared: true });
    expect(sample.memoryMib).toEqual({ total: 262_144, available: 262_144, offer: undefined, declared: true });
    expect(sample.cards).toEqual([
      {
        cardId: "gpu-0",
        index: 0,
        model: "RTX 4090",
        sharedMemory: false,
        utilization: 0,
        vramMib: { total: 24_576, available: 24_576, offer: 20_480, declared: true },
      },
    ]);
  });

  it.skipIf(process.platform === "win32")("measures what the process group of an attempt uses", async () => {
    const script =
      "const keep=Buffer.alloc(60*1048576,1);const t=Date.now();for(;;){if(Date.now()-t>20000)process.exit(keep[0])}";
    const child = spawn("sh", ["-c", `"${process.execPath}" -e '${script}' & wait`], {
      detached: true,
      stdio: "ignore",
    });
    const pid = child.pid ?? 0;
    const sampler = thisMachine();
    try {
      const attempts = [attempt("a", pid), attempt("waiting", null)];
      await waitFor(async () => {
        const [busy, waiting] = (await sampler.sample(attempts)).attempts;
        expect(waiting).toMatchObject({ attemptId: "waiting", cpuMillicores: 0, memoryMib: 0 });
        expect(busy?.memoryMib).toBeGreaterThan(60);
        expect(busy?.cpuMillicores).toBeGreaterThan(50);
        return true;
      });
      const total = sampler.takeTotal("a", null);
      expect(total.memoryPeakMib).toBeGreaterThan(60);
      expect(total.cpuMs).toBeGreaterThan(0);
    } finally {
      process.kill(-pid, "SIGKILL");
    }
  });
});

describe("limits of this process", () => {
  let root: string;
  beforeEach(async () => {
    root = join(dir.path, "cgroup");
    await mkdir(join(root, "a", "b"), { recursive: true });
    await writeFile(join(dir.path, "self"), "0::/a/b\n");
  });
  const tell = (group: string, file: string, text: string): Promise<void> => writeFile(join(root, group, file), text);
  const mib = (count: number): string => `${count * bytesPerMib}\n`;
  const ownCgroup = (): Cgroup => new Cgroup(root, join(dir.path, "self"));

  it("takes the tightest of the control groups above it", async () => {
    await tell("a", "cpu.max", "150000 100000\n");
    await tell("a", "cpu.stat", "usage_usec 5000000\nuser_usec 1\n");
    await tell("a/b", "cpu.max", "max 100000\n");
    await tell("a/b", "memory.max", mib(512));
    await tell("a/b", "memory.current", mib(300));
    await tell("a", "memory.max", "max\n");
    const cgroup = ownCgroup();
    expect(cgroup.limits()).toEqual({ cpuMillicores: 1_500, memoryMib: 512 });
    expect(cgroup.memoryLeftMib()).toBe(212);
    expect(cgroup.limitedCpus()).toEqual([{ dir: join(root, "a"), millicores: 1_500, usedMs: 5_000 }]);
    const none = new Cgroup(join(dir.path, "none"), join(dir.path, "none"));
    expect(none.limits()).toEqual({ cpuMillicores: null, memoryMib: null });
    expect(none.memoryLeftMib()).toBeNull();
  });

  it("DESIGN-3: of a group's memory its file cache is available, mapped files too, as on the whole machine", async () => {
    await tell("a/b", "memory.max", mib(512));
    await tell("a/b", "memory.current", mib(300));
    await tell(
      "a/b",
      "memory.stat",
      `anon 1\nfile ${mib(150)}inactive_anon ${mib(30)}active_anon ${mib(40)}inactive_file ${mib(100)}active_file ${mib(50)}`,
    );
    expect(ownCgroup().memoryLeftMib()).toBe(362);
  });

  it("DESIGN-3: what siblings use of a limit above its own is not available", async () => {
    await tell("a", "memory.max", mib(32));
    await tell("a", "memory.current", mib(31));
    await tell("a/b", "memory.max", mib(16));
    await tell("a/b", "memory.current", mib(1));
    await tell("a", "cpu.max", "400000 100000\n");
    await tell("a/b", "cpu.max", "100000 100000\n");
    const use = async (above: number, own: number): Promise<void> => {
      await tell("a", "cpu.stat", `usage_usec ${above}\n`);
      await tell("a/b", "cpu.stat", `usage_usec ${own}\n`);
    };
    const { clock } = manualPorts();
    const cgroup = ownCgroup();
    const left = cgroupCpuLeft(cgroup, clock);
    await use(0, 0);
    expect(left()).toBe(1_000);
    clock.pass(1_000);
    await use(3_700_000, 100_000);
    expect(left()).toBe(300);
    // Too short an interval: as before.
    clock.pass(100);
    expect(left()).toBe(300);
    clock.pass(900);
    await use(4_500_000, 900_000);
    expect(left()).toBe(200);
    expect(cgroup.limits()).toEqual({ cpuMillicores: 1_000, memoryMib: 16 });
    expect((await cpuMemoryMeter({ clock, cgroup }).measure()).memoryAvailableMib).toBe(1);
  });

  it("starts no program to measure memory on Windows", async () => {
    const asked = vi.spyOn(systeminformation, "mem");
    const { memoryTotalMib, memoryAvailableMib } = await cpuMemoryMeter({
      clock: systemClock,
      cgroup: ownCgroup(),
      platform: "win32",
    }).measure();
    expect(memoryTotalMib).toBe(Math.floor(totalmem() / bytesPerMib));
    expect(memoryAvailableMib).toBeGreaterThan(0);
    expect(memoryAvailableMib).toBeLessThanOrEqual(memoryTotalMib);
    expect(asked).not.toHaveBeenCalled();
    asked.mockRestore();
  });

  it("counts only the CPUs that it may run on", () => {
    expect(parseCpuList("0-2,5")).toEqual([0, 1, 2, 5]);
    expect(idleMillicores([100, 0, 50, 100], 2, [1, 2])).toBe(1_500);
    expect(idleMillicores([100, 0], 2, null)).toBe(1_000);
    // Numbers that do not match (a CPU is offline): the average stands for them.
    expect(idleMillicores([50, 50], 2, [4, 5])).toBe(1_000);
  });
});

describe("use that cannot be measured", () => {
  it("counts as min(reserved, rise since the attempt started), and one rise is given out once", () => {
    const two = [
      { attemptId: "a", reserved: 4_000, availableAtStart: 24_000 },
      { attemptId: "b", reserved: 8_000, availableAtStart: 24_000 },
    ];
    expect([...unmeasuredUse(two, 21_000, 3_000)]).toEqual([
      ["a", 3_000],
      ["b", 0],
    ]);
    expect([...unmeasuredUse(two, 14_000, 10_000)]).toEqual([
      ["a", 4_000],
      ["b", 6_000],
    ]);
    expect([...unmeasuredUse(two, 24_500, 0)]).toEqual([
      ["a", 0],
      ["b", 0],
    ]);
  });

  const card = {
    cardId: "g",
    index: 0,
    model: "m",
    totalMib: 24_000,
    availableMib: 18_000,
    utilization: 0,
    sharedMemory: false,
    declared: false,
  };
  const reserved = [{ cardId: "g", vramMib: 8_000, exclusive: false }];
  const machine = {
    cpuTotalMillicores: 8_000,
    cpuAvailableMillicores: 5_000,
    cpuLoadPercent: 0,
    memoryTotalMib: 1_000,
    memoryAvailableMib: 700,
  };
  const baselines = new Map([["a", { cpuMillicores: 7_000, memoryMib: 750, cards: new Map([["g", 23_000]]) }]]);
  const ownPid = new Map([["a", { cpuMillicores: 10, memoryMib: 20, pids: new Set([process.pid]) }]]);

  it("takes VRAM from the driver where it tells, else from the rise", () => {
    const told = { cards: [card], processes: [{ cardId: "g", pid: process.pid, vramMib: 2_500 }] };
    expect(
      attemptUses({
        attempts: [attempt("a", process.pid, reserved)],
        machine: { ...machine, gpu: told },
        processUse: ownPid,
        baselines,
      })[0]?.cards,
    ).toEqual([{ cardId: "g", vramMib: 2_500, exclusive: false }]);
    for (const processes of [
      null,
      [{ cardId: "g", pid: process.pid, vramMib: null }],
      [{ cardId: "g", pid: 4_000_000, vramMib: 900 }],
    ]) {
      const use = attemptUses({
        attempts: [attempt("a", process.pid, reserved)],
        machine: { ...machine, gpu: { cards: [card], processes } },
        processUse: ownPid,
        baselines,
      });
      expect(use[0]?.cards).toEqual([{ cardId: "g", vramMib: 5_000, exclusive: false }]);
    }
    const idle = attemptUses({
      attempts: [attempt("a", process.pid, reserved)],
      machine: { ...machine, gpu: { cards: [card], processes: [] } },
      processUse: ownPid,
      baselines,
    });
    expect(idle[0]?.cards).toEqual([{ cardId: "g", vramMib: 0, exclusive: false }]);
  });

  it("derives CPU and memory too where the system does not tell about processes", () => {
    const [use] = attemptUses({
      attempts: [attempt("a", 5)],
      machine: { ...machine, gpu: noCards },
      processUse: null,
      baselines,
    });
    expect(use).toMatchObject({ cpuMillicores: 1_000, memoryMib: 50 });
  });
});

describe("ProcessUseTracker", () => {
  const row = (
    pid: number,
    parentPid: number,
    groupId: number,
    cpuMs: number,
    startToken = `start ${pid}`,
  ): ProcessRow => ({
    pid,
    parentPid,
    groupId,
    sessionId: groupId,
    startToken,
    cpuMs,
    residentMib: 10,
  });

  it("gives CPU as a rate over the interval, follows those that leave the group, and is not fooled by a number used again", async () => {
    const ports = manualPorts();
    let rows: readonly ProcessRow[] = [];
    const table: ProcessTable = {
      list: () => Promise.resolve(rows),
      startToken: () => Promise.resolve(null),
      wasStartedAt: () => Promise.resolve(null),
      withEnvironment: () => Promise.resolve(nothingMarked),
      proportionalMib: () => Promise.resolve(null),
    };
    const tracker = new ProcessUseTracker(table, ports.clock, 4);
    const scan = async (): Promise<unknown> => (await tracker.scan([attempt("a", 100)]))?.get("a");
    rows = [row(100, 1, 100, 0), row(101, 100, 100, 0), row(7, 1, 7, 9_999)];
    expect(await scan()).toMatchObject({ cpuMillicores: 0, memoryMib: 20 });
    ports.clock.pass(2_000);
    rows = [row(100, 1, 100, 1_000), row(101, 100, 100, 2_000)];
    expect(await scan()).toMatchObject({ cpuMillicores: 1_500 });
    // 101 made itself a session and lost its parent; 100 is gone.
    ports.clock.pass(2_000);
    rows = [row(101, 1, 101, 6_000), row(102, 101, 101, 0)];
    expect(await scan()).toMatchObject({ cpuMillicores: 1_500, pids: new Set([101, 102]) });
    ports.clock.pass(2_000);
    rows = [row(101, 1, 55, 50_000, "another start")];
    expect(await scan()).toMatchObject({ pids: new Set(), memoryMib: 0 });
    ports.clock.pass(1_000);
    expect(tracker.take("a", 6_500)).toEqual({ cpuMs: 6_500, memoryPeakMib: 20, vramPeakMib: 0 });
  });

  it.each(["known before", "new"])("counts one that ends while others are measured once: %s", async (before) => {
    const { clock } = manualPorts();
    const memory = createDeferred<number>();
    const asked = createDeferred();
    let isSlow = false;
    const table: ProcessTable = {
      list: () => Promise.resolve([row(100, 1, 100, 1_000), row(200, 1, 200, 3_600_000)]),
      startToken: () => Promise.resolve(null),
      wasStartedAt: () => Promise.resolve(null),
      withEnvironment: () => Promise.resolve(nothingMarked),
      proportionalMib() {
        asked.resolve();
        return isSlow ? memory.promise : Promise.resolve(10);
      },
    };
    const tracker = new ProcessUseTracker(table, clock, 4);
    const [one, other] = [attempt("a", 100), attempt("b", 200)];
    await tracker.scan(before === "new" ? [one] : [one, other]);
    isSlow = true;
    const scanned = tracker.scan([one, other]);
    await asked.promise;
    await new Promise(setImmediate);
    expect(tracker.take("b", 3_600_000).cpuMs).toBe(3_600_000);
    memory.resolve(10);
    expect([...((await scanned) ?? [])].map(([attemptId]) => attemptId)).toEqual(["a"]);
    expect(tracker.ownCpuMs()).toBe(3_601_000);
  });
});

describe("small things", () => {
  it("tells a noticeable change of use from noise", () => {
    const sample = (memoryMib: number): wire.Sample =>
      wire.Sample.fromPartial({
        memoryMib: { total: 1_000, available: 500 },
        attempts: [{ attemptId: "a", fence: 1, memoryMib }],
      });
    expect(hasChanged(sample(100), sample(150))).toBe(false);
    expect(hasChanged(sample(100), sample(151))).toBe(true);
  });

  it("reads the lines of ps", () => {
    expect(parsePsLine("  501     1   501 Ss    2048   1:02.50 Mon Nov 23 15:00:00 2026")).toEqual({
      pid: 501,
      parentPid: 1,
      groupId: 501,
      sessionId: 0,
      startToken: "Mon Nov 23 15:00:00 2026",
      cpuMs: 62_500,
      residentMib: 2,
    });
    expect(parsePsLine("  502     1   501 Z+    0   0:00.00 Mon Nov 23 15:00:00 2026")).toBeUndefined();
    expect(parsePsLine("garbage")).toBeUndefined();
  });
});
