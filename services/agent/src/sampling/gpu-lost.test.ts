import { execFileSync } from "node:child_process";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, manualPorts, type ManualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { amdProbe } from "./amd.ts";
import type { GpuProbe } from "./gpu.ts";
import { nvidiaProbe } from "./nvidia/nvidia.ts";
import type { Nvml, NvmlCard } from "./nvidia/nvml.ts";

const bytesPerMib = 1_048_576;

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("gpu lost");
});
afterEach(() => dir.remove());

const shown = async (probe: GpuProbe) =>
  (await probe.read(false)).cards.map(({ cardId, index, availableMib }) => [cardId, index, availableMib]);

describe.skipIf(process.platform === "win32")("an NVIDIA card whose driver fails", () => {
  const card: NvmlCard = {
    handle: 1n,
    index: 0,
    uuid: "GPU-1",
    name: "RTX",
    memory: { total: 24_000 * bytesPerMib, free: 20_000 * bytesPerMib },
    utilization: 3,
    isPartitioned: false,
  };

  it.each(["echo 'Driver/library version mismatch'; exit 18", null])(
    "is still there with nothing given away, whether nvidia-smi fails too or is not there (%s)",
    async (script) => {
      if (script !== null) await writeFile(join(dir.path, "nvidia-smi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      let isBroken = false;
      const nvml: Nvml = {
        driverVersion: "1",
        cards: () => (isBroken ? Promise.reject(new Error("NVML: 999")) : Promise.resolve([card])),
        processes: () => Promise.resolve([]),
      };
      const ports = { ...manualPorts(), timers: systemPorts.timers };
      const load = () => Promise.resolve({ kind: "loaded", nvml } as const);
      const probe = nvidiaProbe({ ports, logger: silentLogger, env: { PATH: dir.path }, load });
      expect(await shown(probe)).toEqual([["GPU-1", 0, 20_000]]);
      isBroken = true;
      for (let times = 0; times < 2; times += 1) expect(await shown(probe)).toEqual([["GPU-1", 0, 0]]);
      isBroken = false;
      ports.clock.pass(300_000);
      expect(await shown(probe)).toEqual([["GPU-1", 0, 20_000]]);
    },
  );
});

describe.skipIf(process.platform === "win32")("an AMD card that cannot be read", () => {
  let ports: ManualPorts;
  let probe: GpuProbe;
  const deviceOf = (name: string): string => join(dir.path, "devices", name);
  const well = [
    ["amd-a", 0, 900],
    ["amd-b", 1, 900],
    ["amd-c", 2, 900],
  ];

  beforeEach(async () => {
    ports = manualPorts();
    const [drm, dri] = [join(dir.path, "drm"), join(dir.path, "dri")];
    await mkdir(dri);
    for (const name of ["a", "b", "c"]) {
      const node = `renderD${name.charCodeAt(0)}`;
      await mkdir(join(deviceOf(name), "drm", node), { recursive: true });
      await writeFile(join(dri, node), "");
      await mkdir(join(drm, `card${name.charCodeAt(0)}`), { recursive: true });
      await symlink(deviceOf(name), join(drm, `card${name.charCodeAt(0)}`, "device"));
      await put(name, "vendor", "0x1002");
      await put(name, "unique_id", name);
      await put(name, "mem_info_vram_total", String(1_000 * bytesPerMib));
      await put(name, "mem_info_vram_used", String(100 * bytesPerMib));
    }
    probe = amdProbe({ clock: ports.clock, logger: silentLogger, drmDir: drm, driDir: dri });
    expect(await shown(probe)).toEqual(well);
  });

  const put = (name: string, file: string, text: string): Promise<void> =>
    writeFile(join(deviceOf(name), file), `${text}\n`);
  /** A folder in its place: reading it is an error, and not that it is missing. */
  async function spoil(name: string, file: string): Promise<void> {
    await rm(join(deviceOf(name), file));
    await mkdir(join(deviceOf(name), file));
  }

  it("is the same card with the same number after a look that failed, and gone when it is", async () => {
    await spoil("a", "vendor");
    ports.clock.pass(300_000);
    expect(await shown(probe)).toEqual(well);
    await rm(join(deviceOf("a"), "vendor"), { recursive: true });
    // Looked at again at once, not after 5 minutes.
    expect(await shown(probe)).toEqual([
      ["amd-b", 0, 900],
      ["amd-c", 1, 900],
    ]);
  });

  it("keeps its name and its number, and has nothing available", async () => {
    await spoil("b", "mem_info_vram_used");
    await spoil("c", "unique_id");
    expect(await shown(probe)).toEqual([
      ["amd-a", 0, 900],
      ["amd-b", 1, 0],
      ["amd-c", 2, 900],
    ]);
  });

  it("is given up after 5 s where the driver hangs, and not asked again until it answers", async () => {
    const fifo = join(deviceOf("b"), "mem_info_vram_used");
    await rm(fifo);
    execFileSync("mkfifo", [fifo]);
    const lost = [
      ["amd-a", 0, 900],
      ["amd-b", 1, 0],
      ["amd-c", 2, 900],
    ];
    expect(await shown(probe)).toEqual(lost);
    expect(await shown(probe)).toEqual(lost);
    // The driver answers: the next reading asks it again.
    await writeFile(fifo, String(100 * bytesPerMib));
    await rm(fifo);
    await put("b", "mem_info_vram_used", String(100 * bytesPerMib));
    let cards = await shown(probe);
    while (cards[1]?.[2] === 0) cards = await shown(probe);
    expect(cards).toEqual(well);
  }, 30_000);
});
