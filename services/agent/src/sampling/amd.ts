import { constants } from "node:fs";
import { access, readdir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Clock, errorCode, keepingThread, type Logger, systemTimers, type Timers } from "@headroom/runtime";
import { BoundedReads } from "../bounded-reads.ts";
import { readAside } from "../read-aside.ts";
import { bytesPerMib } from "../units.ts";
import { amdIdPrefix, noCards, withoutRoom, type CardMeasure, type GpuProbe } from "./gpu.ts";

const amdVendor = "0x1002";
/** A machine without such cards is looked at again this often. */
const lookAgainMs = 300_000;

/** Longest one reading may take; it takes less than 1 ms. */
const limitMs = 5_000;
/** Cards that may hang inside the driver, each with a thread of its own. A look for cards takes one of the four that all files share. */
const cardsMayHang = 4;
const looksMayHang = 1;

export interface AmdOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly drmDir?: string;
  readonly driDir?: string;
  readonly timers?: Timers;
}

/** AMD cards through sysfs: a few files a card, no process. Who uses how much of a card is not told there. */
export function amdProbe({
  clock,
  logger,
  drmDir = "/sys/class/drm",
  driDir = "/dev/dri",
  timers = systemTimers,
}: AmdOptions): GpuProbe {
  let saidRefused = "";
  const lookInTime = givenUp(timers, looksMayHang);
  const cardInTime = givenUp(timers, cardsMayHang);
  let found: Devices = new Map();
  let nextLookMs = Number.NEGATIVE_INFINITY;
  /** What was read last, by device. */
  const lastCards = new Map<string, CardMeasure>();

  async function look(): Promise<void> {
    const nowMs = clock.monotonic();
    if (nowMs < nextLookMs) return;
    const known = found;
    const looked = await lookInTime(drmDir, () => findDevices(drmDir, driDir, known));
    if (looked === null) return;
    found = looked.devices;
    sayRefused(looked.refused);
    if (looked.isWhole) nextLookMs = nowMs + lookAgainMs;
    const present = new Set(found.values());
    for (const device of lastCards.keys()) if (!present.has(device)) lastCards.delete(device);
  }

  /** Once, until they are others. */
  function sayRefused(nodes: readonly string[]): void {
    const said = nodes.join(", ");
    if (said !== saidRefused && nodes.length > 0)
      logger.warn(
        { nodes },
        `there are AMD cards that this agent's user may not open (${said}), so they are not offered: make it a member of the group that may, most often "render", and start it again`,
      );
    saidRefused = said;
  }

  /** null: never read, and so nothing is known of it. */
  async function measure(device: string, index: number): Promise<CardMeasure | null> {
    const last = lastCards.get(device);
    const card = await cardInTime(device, () => readCard(device, index, last?.cardId));
    if (card !== null) lastCards.set(device, card);
    else if (last !== undefined) return withoutRoom([{ ...last, index }]).cards[0] ?? null;
    return card;
  }

  return {
    async read() {
      await look();
      // In the order of their bus addresses, which is how HIP counts what it can open.
      const devices = [...found.values()].sort();
      if (devices.length === 0) return noCards;
      const cards: CardMeasure[] = [];
      for (const [index, device] of devices.entries()) {
        const card = await measure(device, index);
        if (card !== null) cards.push(card);
      }
      return { cards, processes: null };
    },
  };
}

/** Runs a reading; null: it failed, took too long, or was not begun because it, or too many others, hang. */
function givenUp(timers: Timers, mayHang: number): <T>(path: string, reading: () => Promise<T>) => Promise<T | null> {
  const reads = new BoundedReads({ timers, limitMs, atOnce: 1, mayHang });
  return (path, reading) =>
    reads.read(path, reading).then(
      (answer) => (answer.kind === "read" ? answer.value : null),
      () => null,
    );
}

/** Device folders of AMD cards by the names that they have in the folder of all cards. */
type Devices = ReadonlyMap<string, string>;

interface Look {
  readonly devices: Devices;
  /** False: some cards could not be looked at; those of them that were known are still. */
  readonly isWhole: boolean;
  /** Nodes of cards that are given to others than this process's user. */
  readonly refused: readonly string[];
}

/** Looks for AMD cards that can be used. What is not there is none; what cannot be looked at is what it was. Rejects when nothing can. */
async function findDevices(drmDir: string, driDir: string, known: Devices): Promise<Look> {
  const devices = new Map<string, string>();
  const refused: string[] = [];
  let isWhole = true;
  for (const name of (await ifThere(readdir(drmDir))) ?? []) {
    if (!/^card\d+$/.test(name)) continue;
    try {
      const device = await ifThere(realpath(join(drmDir, name, "device")));
      if (device === null || (await readText(join(device, "vendor"))) !== amdVendor) continue;
      const node = await findNode(device, driDir);
      const use = node === null ? "gone" : await mayUse(node);
      if (use === "open") devices.set(name, device);
      if (use === "refused" && node !== null) refused.push(node);
    } catch {
      isWhole = false;
      const device = known.get(name);
      if (device !== undefined) devices.set(name, device);
    }
  }
  return { devices, isWhole, refused };
}

/** The node by which programs reach a card; null: it has none. */
async function findNode(device: string, driDir: string): Promise<string | null> {
  const names = (await ifThere(readdir(join(device, "drm")))) ?? [];
  const name = names.find((each) => /^renderD\d+$/.test(each));
  return name === undefined ? null : join(driDir, name);
}

/**
 * Whether this process may open it. The system shows all cards of a machine also to a container that was given some of them, and HIP counts only those
 * that it can open. The node is not opened here: that would wake a card that sleeps.
 */
async function mayUse(node: string): Promise<"open" | "refused" | "gone"> {
  try {
    await keepingThread(access(node, constants.R_OK | constants.W_OK));
    return "open";
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "gone";
    if (["EACCES", "EPERM"].includes(errorCode(error))) return "refused";
    throw error;
  }
}

/** null: it has no memory of its own. Rejects when its memory cannot be read. `knownId` is what it was called before. */
async function readCard(device: string, index: number, knownId: string | undefined): Promise<CardMeasure | null> {
  const text = (name: string): Promise<string | null> => readText(join(device, name));
  const less = (name: string): Promise<string | null> => text(name).catch(() => null);
  const totalBytes = Number((await text("mem_info_vram_total")) || Number.NaN);
  const usedBytes = Number((await text("mem_info_vram_used")) || Number.NaN);
  if (!Number.isFinite(totalBytes) || !Number.isFinite(usedBytes)) return null;
  const utilization = Number((await less("gpu_busy_percent")) || 0);
  const product = (await less("product_name")) || `AMD GPU ${(await less("device")) ?? ""}`;
  return {
    cardId: knownId ?? `${amdIdPrefix}${(await less("unique_id")) || basename(device)}`,
    index,
    model: product.trim().slice(0, 128),
    totalMib: Math.floor(totalBytes / bytesPerMib),
    availableMib: Math.max(0, Math.floor((totalBytes - usedBytes) / bytesPerMib)),
    utilization: Number.isFinite(utilization) ? Math.min(100, Math.max(0, utilization)) : 0,
    sharedMemory: false,
    declared: false,
  };
}

/** null: there is no such file. */
async function readText(path: string): Promise<string | null> {
  return (await ifThere(readAside(path)))?.trim() ?? null;
}

/** null: what was asked for is not there. */
async function ifThere<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await keepingThread(reading);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}
