import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createDeferred, systemPorts } from "@headroom/runtime";
import { captureLogger, manualPorts } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GpuReading } from "../gpu.ts";
import { nvidiaProbe } from "./nvidia.ts";
import { parseCards, parseProcesses } from "./nvidia-smi.ts";
import type { NativeLibrary } from "../../koffi.ts";
import { CudaCount } from "./cuda-count.ts";
import { loadNvml, openNvml, type NvmlLoad } from "./nvml-library.ts";
import { readEach } from "./read-each.ts";
import { NvmlError, readNvml, type Nvml, type NvmlCard, type NvmlProcess } from "./nvml.ts";

/**
 * What a real card said: NVIDIA H100 80GB HBM3, driver 580.159.04, while process 464 held 2,048 MiB (and its CUDA context). Of its
 * 81,559 MiB the driver reserves 480 for itself. See scripts/device-check.mjs.
 */
const h100 = {
  cards: "0, GPU-22c5e100-dd5c-8357-e3bd-240e93a6865e, 81559, 78505, 3, Disabled, NVIDIA H100 80GB HBM3\n",
  processes: "GPU-22c5e100-dd5c-8357-e3bd-240e93a6865e, 464, 2566\n",
};
const mib = 1_048_576;
const h100Card: NvmlCard = {
  handle: 1n,
  index: 0,
  uuid: "GPU-22c5e100-dd5c-8357-e3bd-240e93a6865e",
  name: "NVIDIA H100 80GB HBM3",
  // NVML counts bytes; the tool rounds to the nearest MiB, we round down what is free.
  memory: { total: 81_559 * mib, free: 78_504 * mib + 655_360 },
  utilization: 3,
  isPartitioned: false,
};

function nvmlOf(cards: readonly NvmlCard[], processes: readonly NvmlProcess[] | null): Nvml {
  return {
    driverVersion: "580.159.04",
    cards: () => Promise.resolve(cards),
    processes: () => Promise.resolve(processes),
  };
}

describe("what NVIDIA's drivers say", () => {
  it("of one real card both ways tell the same, but for the rounding of what is free", async () => {
    const fromTool: GpuReading = { cards: parseCards(h100.cards), processes: parseProcesses(h100.processes) };
    const used = 2_566 * mib;
    const fromLibrary = await readNvml(nvmlOf([h100Card], [{ pid: 464, usedBytes: used }]), true);
    expect(fromTool.cards[0]).toEqual({
      cardId: "GPU-22c5e100-dd5c-8357-e3bd-240e93a6865e",
      index: 0,
      model: "NVIDIA H100 80GB HBM3",
      totalMib: 81_559,
      availableMib: 78_505,
      utilization: 3,
      sharedMemory: false,
      declared: false,
    });
    expect(fromLibrary).toEqual({
      ...fromTool,
      cards: fromTool.cards.map((card) => ({ ...card, availableMib: 78_504 })),
    });
    // An idle card has no processes at all: the tool then prints nothing.
    expect(parseProcesses("")).toEqual([]);
  });

  it("a process without a figure is known to be there; where none is told at all, use is derived", async () => {
    const windows = nvmlOf([h100Card], [{ pid: 7, usedBytes: null }]);
    expect((await readNvml(windows, true)).processes).toEqual([{ cardId: h100Card.uuid, pid: 7, vramMib: null }]);
    expect((await readNvml(nvmlOf([h100Card], null), true)).processes).toBeNull();
    expect((await readNvml(nvmlOf([h100Card], null), false)).processes).toEqual([]);
  });

  it("of a card that is divided (MIG), or tells no figures, nothing is given away", async () => {
    const odd = { ...h100Card, uuid: "", index: 3, utilization: null };
    const { cards } = await readNvml(nvmlOf([{ ...h100Card, isPartitioned: true }, odd], []), false);
    expect(cards.map(({ availableMib, totalMib }) => [availableMib, totalMib])).toEqual([
      [0, 81_559],
      [78_504, 81_559],
    ]);
    expect(cards[1]).toMatchObject({ cardId: "gpu-3", utilization: 0 });
  });

  it("a machine without the driver, or of a kind without the library, is no error", async () => {
    expect(await loadNvml("darwin")).toEqual({ kind: "no_driver" });
  });
});

describe("what a driver cannot tell of a card", () => {
  /** A library with one card of 8 GiB, half of it free. These functions fail with these codes. */
  function libraryOf(failing: Readonly<Record<string, number>>): NativeLibrary {
    const memory = (out: Buffer, totalAt: number, freeAt: number): void => {
      out.writeBigUInt64LE(BigInt(8_192 * mib), totalAt);
      out.writeBigUInt64LE(BigInt(4_096 * mib), freeAt);
    };
    const answers: Readonly<Record<string, (out: Buffer) => unknown>> = {
      nvmlDeviceGetCount_v2: (out) => out.writeUInt32LE(1),
      nvmlDeviceGetUUID: (out) => out.write("GPU-wsl"),
      nvmlDeviceGetUtilizationRates: (out) => out.writeUInt32LE(7),
      nvmlDeviceGetMemoryInfo: (out) => memory(out, 0, 8),
      nvmlDeviceGetMemoryInfo_v2: (out) => memory(out, 8, 24),
      nvmlDeviceGetMigMode: (out) => out.writeUInt32LE(1),
    };
    return {
      func(declaration) {
        const name = /(\w+)\(/.exec(declaration)?.[1] ?? "";
        const answer = (args: readonly unknown[]): number => {
          const out = args.find((arg) => Buffer.isBuffer(arg));
          if (out !== undefined && failing[name] === undefined) answers[name]?.(out);
          return failing[name] ?? 0;
        };
        return Object.assign((...args: readonly unknown[]) => answer(args), {
          async: (...args: readonly unknown[]) => {
            const done = args.at(-1);
            if (typeof done === "function") done(null, answer(args));
          },
        });
      },
    };
  }

  it("DESIGN-3: loses no card: memory is asked as older drivers tell it, and what is optional is not known", async () => {
    const unknown = 999;
    const nvml = await openNvml(
      libraryOf({
        nvmlDeviceGetMemoryInfo_v2: unknown,
        nvmlDeviceGetUtilizationRates: unknown,
        nvmlDeviceGetMigMode: unknown,
      }),
    );
    expect(await nvml.cards()).toMatchObject([
      {
        uuid: "GPU-wsl",
        memory: { total: 8_192 * mib, free: 4_096 * mib },
        utilization: null,
        isPartitioned: false,
      },
    ]);
  });

  it("loses one that has fallen off the bus, whatever it is asked, and one whose memory cannot be read", async () => {
    for (const failing of [
      { nvmlDeviceGetMemoryInfo_v2: 15 },
      { nvmlDeviceGetUtilizationRates: 15 },
      { nvmlDeviceGetMigMode: 16 },
      { nvmlDeviceGetMemoryInfo_v2: 999, nvmlDeviceGetMemoryInfo: 999 },
    ])
      await expect((await openNvml(libraryOf(failing))).cards()).rejects.toThrow(/^NVML: /);
  });
});

describe("which way the cards are read", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "headroom-nvidia-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  /** A machine whose tool says what the real one said, unless it has none; the library answers what the test says. */
  function probeWith(
    load: () => Promise<NvmlLoad>,
    options: { hasTool?: boolean; timeoutMs?: number; cards?: string; cudaCount?: CudaCount } = {},
  ) {
    const ports = { ...manualPorts(), timers: systemPorts.timers };
    const logger = captureLogger();
    const script = `#!/bin/sh\ncase "$1" in *query-gpu*) printf '${(options.cards ?? h100.cards).trim()}\\n';; esac\n`;
    if (options.hasTool !== false) writeFileSync(join(dir, "nvidia-smi"), script, { mode: 0o755 });
    const env = { PATH: [dir, ...(options.hasTool === false ? [] : [process.env["PATH"]])].join(delimiter) };
    const { timeoutMs = 5_000, cudaCount = new CudaCount() } = options;
    const probe = nvidiaProbe({ ports, logger, env, load, timeoutMs, platform: "linux", cudaCount });
    return { probe, logger, ports };
  }
  const free = (reading: GpuReading): number | undefined => reading.cards[0]?.availableMib;
  const loaded = (nvml: Nvml): NvmlLoad => ({ kind: "loaded", nvml });

  it("the library, said once with the driver's version", async () => {
    const { probe, logger } = probeWith(() => Promise.resolve(loaded(nvmlOf([h100Card], []))));
    for (let times = 0; times < 3; times += 1) expect(free(await probe.read(true))).toBe(78_504);
    expect(logger.records).toMatchObject([
      { message: "NVIDIA cards are read through NVML", fields: { driver: "580.159.04", cards: 1 } },
    ]);
  });

  it.runIf(process.platform !== "win32")("the tool where the library cannot be used, said once with why", async () => {
    const why = "the optional package koffi is not installed";
    const { probe, logger } = probeWith(() => Promise.resolve({ kind: "unusable", why }));
    for (let times = 0; times < 2; times += 1) expect(free(await probe.read(false))).toBe(78_505);
    expect(logger.records).toMatchObject([{ message: "NVIDIA cards are read through nvidia-smi", fields: { why } }]);
  });

  it("neither on a machine without such cards, and nothing is said", async () => {
    const { probe, logger } = probeWith(() => Promise.resolve({ kind: "no_driver" }), { hasTool: false });
    expect(await probe.read(true)).toEqual({ cards: [], processes: [] });
    expect(logger.records).toEqual([]);
  });

  it("DESIGN-3: the library, also when one of several cards is lost: the others are told, of that one nothing is given away", async () => {
    const other = { ...h100Card, handle: 2n, index: 1, uuid: "GPU-other" };
    let lost: "no" | "card" | "processes" = "no";
    const nvml: Nvml = {
      ...nvmlOf([], []),
      cards: () =>
        readEach(2, (index) => {
          if (lost === "card" && index === 0) return Promise.reject(new NvmlError("NVML: handle: GPU is lost (15)"));
          return Promise.resolve(index === 0 ? h100Card : other);
        }),
      processes: ({ index }) =>
        lost === "processes" && index === 0
          ? Promise.reject(new NvmlError("NVML: processes: GPU is lost (15)"))
          : Promise.resolve([{ pid: 7, usedBytes: 512 * mib }]),
    };
    const { probe, logger } = probeWith(() => Promise.resolve(loaded(nvml)));
    const cardsOf = ({ cards }: GpuReading) =>
      cards.map(({ cardId, index, availableMib }) => [cardId, index, availableMib]);
    const well = [
      [h100Card.uuid, 0, 78_504],
      ["GPU-other", 1, 78_504],
    ];
    expect(cardsOf(await probe.read(true))).toEqual(well);
    for (const how of ["card", "processes", "card"] as const) {
      lost = how;
      const reading = await probe.read(true);
      expect(cardsOf(reading)).toEqual([[h100Card.uuid, 0, 0], well[1]]);
      // Who uses the lost one nobody knows.
      expect(reading.processes).toEqual([
        { cardId: h100Card.uuid, pid: 0, vramMib: null },
        { cardId: "GPU-other", pid: 7, vramMib: 512 },
      ]);
    }
    expect(logger.records.filter(({ level }) => level === "warn")).toMatchObject([
      { fields: { index: 0, err: { message: "NVML: handle: GPU is lost (15)" } } },
    ]);
    lost = "no";
    expect(cardsOf(await probe.read(true))).toEqual(well);
    expect(logger.has("every NVIDIA card can be read again", "info")).toBe(true);
    expect(logger.records.map(({ message }) => message)).not.toContain("NVIDIA cards are read through nvidia-smi");
  });

  const shared = (cudaCount: CudaCount): readonly boolean[] => [0, 1, 2].map((index) => cudaCount.shares(index));
  const threeCards = [0, 1, 2].map((index) => ({ ...h100Card, index, uuid: `GPU-${index}` }));

  it("DESIGN-3: CUDA shares the driver's indexes below a card that is divided, lost or never told", async () => {
    const cudaCount = new CudaCount();
    let told: Awaited<ReturnType<Nvml["cards"]>> = threeCards;
    const nvml = { ...nvmlOf([], []), cards: () => Promise.resolve(told) };
    const { probe } = probeWith(() => Promise.resolve(loaded(nvml)), { cudaCount });
    const sharedWith = async (first: (typeof told)[number]): Promise<readonly boolean[]> => {
      told = [first, ...threeCards.slice(1)];
      await probe.read(false);
      return shared(cudaCount);
    };
    const lost = { index: 0, lostBy: new NvmlError("NVML: handle: no permission (4)") };
    // Not known yet, and so not told.
    expect(await sharedWith(lost)).toEqual([false, false, false]);
    expect(await sharedWith(threeCards[0]!)).toEqual([true, true, true]);
    expect(await sharedWith({ ...threeCards[0]!, isPartitioned: true })).toEqual([false, false, false]);
    expect(await sharedWith(threeCards[0]!)).toEqual([true, true, true]);
    expect(await sharedWith(lost)).toEqual([false, false, false]);
  });

  it.runIf(process.platform !== "win32")("DESIGN-3: the same where the tool tells them", async () => {
    const line = (index: number, mig: string): string => `${index}, GPU-${index}, 8192, 4000, 1, ${mig}, H100`;
    const sharedWith = async (...lines: readonly string[]): Promise<readonly boolean[]> => {
      const cudaCount = new CudaCount();
      const load = () => Promise.resolve({ kind: "no_driver" } as const);
      await probeWith(load, { cards: lines.join("\\n"), cudaCount }).probe.read(false);
      return shared(cudaCount);
    };
    const whole = [0, 1, 2].map((index) => line(index, "Disabled"));
    expect(await sharedWith(...whole)).toEqual([true, true, true]);
    expect(await sharedWith(whole[0]!, line(1, "Enabled"), whole[2]!)).toEqual([true, false, false]);
    expect(await sharedWith(whole[0]!, whole[2]!)).toEqual([true, false, false]);
  });

  it("with none of its cards to be read the driver fails, not a card", async () => {
    const failing = readEach(2, () => Promise.reject(new NvmlError("NVML: handle: failed (18)")));
    await expect(failing).rejects.toThrow("(18)");
    expect(await readEach(0, () => Promise.reject(new NvmlError("not asked")))).toEqual([]);
    const away = {
      ...nvmlOf([h100Card, { ...h100Card, index: 1 }], []),
      processes: () => Promise.reject(new NvmlError("NVML: processes: failed (18)")),
    };
    await expect(readNvml(away, true)).rejects.toThrow("(18)");
  });

  it.runIf(process.platform !== "win32")("the tool while the library fails, and the library again later", async () => {
    let isBroken = false;
    let loads = 0;
    const nvml: Nvml = {
      ...nvmlOf([h100Card], []),
      cards: () =>
        isBroken ? Promise.reject(new NvmlError("driver and library differ")) : Promise.resolve([h100Card]),
    };
    const { probe, logger, ports } = probeWith(() => {
      loads += 1;
      return Promise.resolve(loaded(nvml));
    });
    expect(free(await probe.read(false))).toBe(78_504);
    isBroken = true;
    expect(free(await probe.read(false))).toBe(78_505);
    isBroken = false;
    expect(free(await probe.read(false))).toBe(78_505);
    ports.clock.pass(300_000);
    expect(free(await probe.read(false))).toBe(78_504);
    expect(loads).toBe(2);
    const ways = logger.records.filter(({ level }) => level === "info").map(({ message }) => message.split(" ").at(-1));
    expect(ways).toEqual(["NVML", "nvidia-smi", "NVML"]);
  });

  it.runIf(process.platform !== "win32")("a call that hangs in the driver is not joined by another", async () => {
    let calls = 0;
    const never = createDeferred<readonly NvmlCard[]>();
    const nvml: Nvml = {
      ...nvmlOf([h100Card], []),
      cards() {
        calls += 1;
        return never.promise;
      },
    };
    const { probe, ports } = probeWith(() => Promise.resolve(loaded(nvml)), { timeoutMs: 1_000 });
    for (let times = 0; times < 3; times += 1) {
      expect(free(await probe.read(false))).toBe(78_505);
      ports.clock.pass(600_000);
    }
    expect(calls).toBe(1);
  });
});
