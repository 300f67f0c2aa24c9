import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { silentLogger, systemClock, systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { amdProbe } from "./amd.ts";
import { combinedProbe, noCards, type GpuProbe } from "./gpu.ts";
import { nvidiaSmiProbe } from "./nvidia/nvidia-smi.ts";

const bytesPerMib = 1_048_576;

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("gpu");
});
afterEach(() => dir.remove());

describe("NVIDIA cards", () => {
  const isPosix = process.platform !== "win32";
  const gpuLine = "0, GPU-aaa, 24564, 20000, 37, [N/A], NVIDIA GeForce RTX 4090";

  async function fakeTool(script: string): Promise<Record<string, string>> {
    await writeFile(join(dir.path, "nvidia-smi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { PATH: [dir.path, process.env["PATH"]].join(delimiter) };
  }

  it.runIf(isPosix)("reads cards, and who uses how much of them", async () => {
    const env = await fakeTool(
      `case "$1" in *query-gpu*) echo "${gpuLine}"; echo "1, GPU-bbb, [N/A], [N/A], [N/A], Disabled, Odd, one";; *) echo "GPU-aaa, 77, 3000"; echo "GPU-aaa, 78, [N/A]";; esac`,
    );
    const probe = nvidiaSmiProbe({ ports: systemPorts, logger: silentLogger, env });
    expect(await probe.read(true)).toEqual({
      cards: [
        {
          cardId: "GPU-aaa",
          index: 0,
          model: "NVIDIA GeForce RTX 4090",
          totalMib: 24_564,
          availableMib: 20_000,
          utilization: 37,
          sharedMemory: false,
          declared: false,
        },
        {
          cardId: "GPU-bbb",
          index: 1,
          model: "Odd, one",
          totalMib: 0,
          availableMib: 0,
          utilization: 0,
          sharedMemory: false,
          declared: false,
        },
      ],
      processes: [
        { cardId: "GPU-aaa", pid: 77, vramMib: 3_000 },
        { cardId: "GPU-aaa", pid: 78, vramMib: null },
      ],
    });
  });

  it.runIf(isPosix)("DESIGN-3: promises nothing of a card that is divided (MIG), as NVML does", async () => {
    const env = await fakeTool(
      `echo "${gpuLine}"; echo "1, GPU-bbb, 81559, 80000, [N/A], Enabled, NVIDIA H100"; echo "2, GPU-ccc, 81559, 80000, 0, Disabled, NVIDIA H100"`,
    );
    const { cards } = await nvidiaSmiProbe({ ports: systemPorts, logger: silentLogger, env }).read(false);
    expect(cards.map(({ model, totalMib, availableMib }) => [model, totalMib, availableMib])).toEqual([
      ["NVIDIA GeForce RTX 4090", 24_564, 20_000],
      ["NVIDIA H100", 81_559, 0],
      ["NVIDIA H100", 81_559, 80_000],
    ]);
  });

  it.runIf(isPosix)(
    "asks a driver that does not know of divided cards once, and reads its cards all the same",
    async () => {
      const asked = join(dir.path, "asked");
      const env = await fakeTool(
        `echo "$1" >> ${asked}; case "$1" in *mig*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;; esac; echo "0, GPU-aaa, 8192, 4000, 1, Old, one"`,
      );
      const logger = captureLogger();
      const probe = nvidiaSmiProbe({ ports: systemPorts, logger, env });
      for (let times = 0; times < 2; times += 1)
        expect((await probe.read(false)).cards).toMatchObject([{ model: "Old, one", availableMib: 4_000 }]);
      expect((await readFile(asked, "utf8")).match(/mig/g)).toHaveLength(1);
      expect(logger.records).toEqual([]);
    },
  );

  it.runIf(isPosix)("promises nothing of a card while the tool fails, and asks again later", async () => {
    const ports = { ...manualPorts(), timers: systemPorts.timers };
    const state = join(dir.path, "broken");
    const env = await fakeTool(`test -e ${state} && { echo "driver mismatch" >&2; exit 9; }; echo "${gpuLine}"`);
    const logger = captureLogger();
    const probe = nvidiaSmiProbe({ ports, logger, env });
    expect((await probe.read(false)).cards[0]?.availableMib).toBe(20_000);
    await writeFile(state, "");
    expect((await probe.read(false)).cards[0]).toMatchObject({ totalMib: 24_564, availableMib: 0 });
    expect(logger.has("nvidia-smi failed", "warn")).toBe(true);
    await rm(state);
    expect((await probe.read(false)).cards[0]?.availableMib).toBe(0);
    ports.clock.pass(60_000);
    expect((await probe.read(false)).cards[0]?.availableMib).toBe(20_000);
  });

  it.runIf(isPosix)("does not wait for a tool that hangs", async () => {
    const env = await fakeTool("exec sleep 1000");
    const logger = captureLogger();
    const probe = nvidiaSmiProbe({ ports: systemPorts, logger, env, timeoutMs: 200 });
    expect(await probe.read(false)).toEqual({ cards: [], processes: null });
    expect(logger.records[0]?.fields.err).toMatchObject({ message: expect.stringContaining("200 ms") });
  });

  it("is no error where there is no tool, and no cost either", async () => {
    const logger = captureLogger();
    const probe = nvidiaSmiProbe({ ports: systemPorts, logger, env: { PATH: dir.path } });
    expect(await probe.read(true)).toEqual(noCards);
    expect(await probe.read(true)).toEqual(noCards);
    expect(logger.records).toEqual([]);
  });
});

describe("AMD cards", () => {
  const vram = {
    vendor: "0x1002",
    mem_info_vram_total: String(16 * 1_024 * bytesPerMib),
    mem_info_vram_used: String(1_024 * bytesPerMib),
  };
  const logger = captureLogger();
  const drm = (): string => join(dir.path, "drm");
  const dri = (): string => join(dir.path, "dri");

  /** A card, and the node that the system has for its programs. */
  async function make(card: string, device: string, node: string, files: Record<string, string>): Promise<void> {
    const target = join(dir.path, "devices", device);
    await mkdir(join(target, "drm", node), { recursive: true });
    await mkdir(join(drm(), card), { recursive: true });
    await symlink(target, join(drm(), card, "device"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(target, name), `${text}\n`);
  }

  async function giveNodes(...nodes: readonly string[]): Promise<void> {
    await mkdir(dri(), { recursive: true });
    for (const node of nodes) await writeFile(join(dri(), node), "");
  }

  it.skipIf(process.platform === "win32")("reads sysfs, in the order of the bus", async () => {
    await make("card1", "0000:03:00.0", "renderD129", {
      ...vram,
      product_name: "Radeon RX 7800",
      unique_id: "abc",
      gpu_busy_percent: "12",
    });
    await make("card0", "0000:0a:00.0", "renderD128", { ...vram, device: "0x744c" });
    await make("card2", "0000:00:02.0", "renderD130", { vendor: "0x8086" });
    await giveNodes("renderD128", "renderD129", "renderD130");
    const { cards, processes } = await amdProbe({ clock: systemClock, logger, drmDir: drm(), driDir: dri() }).read(
      true,
    );
    expect(
      cards.map(({ cardId, index, model, totalMib, availableMib, utilization }) => [
        cardId,
        index,
        model,
        totalMib,
        availableMib,
        utilization,
      ]),
    ).toEqual([
      ["amd-abc", 0, "Radeon RX 7800", 16_384, 15_360, 12],
      ["amd-0000:0a:00.0", 1, "AMD GPU 0x744c", 16_384, 15_360, 0],
    ]);
    expect(processes).toBeNull();
    expect(await amdProbe({ clock: systemClock, logger, drmDir: join(dir.path, "none") }).read(true)).toEqual(noCards);
  });

  it.skipIf(process.platform === "win32")(
    "DESIGN-3: tells only those that this process may use, counted as HIP does: a container sees the host's others too",
    async () => {
      await make("card0", "0000:03:00.0", "renderD128", { ...vram, unique_id: "hosts" });
      await make("card1", "0000:0a:00.0", "renderD129", { ...vram, unique_id: "given" });
      await giveNodes("renderD129");
      const { cards } = await amdProbe({ clock: systemClock, logger, drmDir: drm(), driDir: dri() }).read(false);
      expect(cards.map(({ cardId, index }) => [cardId, index])).toEqual([["amd-given", 0]]);
      // What was given to others is nothing to tell of.
      expect(logger.records).toEqual([]);
    },
  );

  // Root may open everything.
  it.skipIf(process.platform === "win32" || process.getuid?.() === 0)(
    "says once which cards it does not offer because its user may not open them, and what helps",
    async () => {
      await make("card0", "0000:03:00.0", "renderD128", vram);
      await giveNodes("renderD128");
      await chmod(join(dri(), "renderD128"), 0o000);
      const ports = manualPorts();
      const probe = amdProbe({ clock: ports.clock, logger, drmDir: drm(), driDir: dri() });
      expect(await probe.read(false)).toEqual(noCards);
      ports.clock.pass(600_000);
      expect(await probe.read(false)).toEqual(noCards);
      expect(logger.records.map(({ level, message }) => [level, message.includes("renderD128")])).toEqual([
        ["warn", true],
      ]);
    },
  );
});

describe("cards of several vendors", () => {
  it("joins the cards of several vendors", async () => {
    const probe = (cardId: string, processes: null | []): GpuProbe => ({
      read: () =>
        Promise.resolve({
          cards: [
            {
              cardId,
              index: 0,
              model: "m",
              totalMib: 1,
              availableMib: 1,
              utilization: 0,
              sharedMemory: false,
              declared: false,
            },
          ],
          processes,
        }),
    });
    const { cards, processes } = await combinedProbe([probe("n", []), probe("a", null)]).read(true);
    expect(cards.map((card) => card.cardId)).toEqual(["n", "a"]);
    expect(processes).toEqual([{ cardId: "a", pid: 0, vramMib: null }]);
  });
});
