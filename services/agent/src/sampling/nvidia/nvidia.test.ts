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
import { loadNvml, type NvmlLoad } from "./nvml-library.ts";
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

describe("which way the cards are read", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "headroom-nvidia-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  /** A machine whose tool says what the real one said, unless it has none; the library answers what the test says. */
  function probeWith(load: () => Promise<NvmlLoad>, options: { hasTool?: boolean; timeoutMs?: number } = {}) {
    const ports = { ...manualPorts(), timers: systemPorts.timers };
    const logger = captureLogger();
    const script = `#!/bin/sh\ncase "$1" in *query-gpu*) printf '${h100.cards.trim()}\\n';; esac\n`;
    if (options.hasTool !== false) writeFileSync(join(dir, "nvidia-smi"), script, { mode: 0o755 });
    const env = { PATH: [dir, ...(options.hasTool === false ? [] : [process.env["PATH"]])].join(delimiter) };
    const { timeoutMs = 5_000 } = options;
    return { probe: nvidiaProbe({ ports, logger, env, load, timeoutMs, platform: "linux" }), logger, ports };
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
