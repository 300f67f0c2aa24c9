import { readFile, readdir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Clock } from "@headroom/runtime";
import { bytesPerMib } from "../units.ts";
import { noCards, type CardMeasure, type GpuProbe } from "./gpu.ts";

const amdVendor = "0x1002";
/** A machine without such cards is looked at again this often. */
const lookAgainMs = 300_000;

/** AMD cards through sysfs: a few files a card, no process. Who uses how much of a card is not told there. */
export function amdProbe(clock: Clock, drmDir = "/sys/class/drm"): GpuProbe {
  let devices: readonly string[] = [];
  let nextLookMs = Number.NEGATIVE_INFINITY;
  return {
    async read() {
      const nowMs = clock.monotonic();
      if (nowMs >= nextLookMs) {
        devices = await findDevices(drmDir);
        nextLookMs = nowMs + lookAgainMs;
      }
      if (devices.length === 0) return noCards;
      const cards = await Promise.all(devices.map((device, index) => readCard(device, index)));
      return { cards: cards.filter((card) => card !== null), processes: null };
    },
  };
}

/** Device folders of AMD cards in the order of their bus addresses, which is how the driver counts. */
async function findDevices(drmDir: string): Promise<readonly string[]> {
  const names = await readdir(drmDir).catch(() => []);
  const devices: string[] = [];
  for (const name of names) {
    if (!/^card\d+$/.test(name)) continue;
    const device = await realpath(join(drmDir, name, "device")).catch(() => null);
    if (device !== null && (await readText(join(device, "vendor"))) === amdVendor) devices.push(device);
  }
  return devices.sort();
}

async function readCard(device: string, index: number): Promise<CardMeasure | null> {
  const [total, used, busy, uniqueId, product, deviceId] = await Promise.all(
    ["mem_info_vram_total", "mem_info_vram_used", "gpu_busy_percent", "unique_id", "product_name", "device"].map(
      (name) => readText(join(device, name)),
    ),
  );
  const totalBytes = Number(total || Number.NaN);
  const usedBytes = Number(used || Number.NaN);
  if (!Number.isFinite(totalBytes) || !Number.isFinite(usedBytes)) return null;
  const utilization = Number(busy || 0);
  return {
    cardId: uniqueId ? `amd-${uniqueId}` : `amd-${basename(device)}`,
    index,
    model: (product || `AMD GPU ${deviceId ?? ""}`).trim().slice(0, 128),
    totalMib: Math.floor(totalBytes / bytesPerMib),
    availableMib: Math.max(0, Math.floor((totalBytes - usedBytes) / bytesPerMib)),
    utilization: Number.isFinite(utilization) ? Math.min(100, Math.max(0, utilization)) : 0,
    sharedMemory: false,
    declared: false,
  };
}

async function readText(path: string): Promise<string | null> {
  return readFile(path, "utf8").then(
    (text) => text.trim(),
    () => null,
  );
}
