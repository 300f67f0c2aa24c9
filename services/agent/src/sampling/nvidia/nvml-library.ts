import { keepingThread } from "@headroom/runtime";
import { importKoffi, type Koffi, type NativeFunction, type NativeLibrary } from "../../koffi.ts";
import { readEach } from "./read-each.ts";
import { NvmlError, type Nvml, type NvmlCard, type NvmlMemory, type NvmlProcess } from "./nvml.ts";

/** `nvml.h`. */
const notSupported = 3;
const insufficientSize = 7;
const offTheBus = 15;
const needsReset = 16;
const messages: Readonly<Record<number, string>> = {
  4: "no permission",
  9: "the driver is not loaded",
  12: "the library was not found",
  13: "the driver lacks a function",
  [offTheBus]: "the card has fallen off the bus",
  [needsReset]: "the card needs a reset",
  18: "driver and library are of different versions (updated without a restart?)",
  999: "unknown error",
};
const uuidBytes = 96;
const nameBytes = 96;
const versionBytes = 80;
/** nvmlMemory_v2_t: version, padding, total, reserved, free, used. The version carries the size. */
const memoryV2Bytes = 40;
const memoryV2Version = memoryV2Bytes | (2 << 24);
/** nvmlProcessInfo_t since the second version: pid, padding, used memory, two instance ids. */
const processBytes = 24;
const fewProcesses = 64;
const manyProcesses = 4_096;
const unknownBytes = 0xffff_ffff_ffff_ffffn;

/** Where drivers put it; the first is the loader's own search. */
const libraries: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: [
    "libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/run/opengl-driver/lib/libnvidia-ml.so.1",
  ],
  win32: ["nvml.dll", "C:\\Program Files\\NVIDIA Corporation\\NVSMI\\nvml.dll"],
};

export type NvmlLoad =
  | { readonly kind: "loaded"; readonly nvml: Nvml }
  /** This machine has no such driver. */
  | { readonly kind: "no_driver" }
  /** It has, and it cannot be used in this way. */
  | { readonly kind: "unusable"; readonly why: string };

/** Loads the driver's library through koffi and begins a session with it. Never rejects. */
export async function loadNvml(platform: NodeJS.Platform = process.platform): Promise<NvmlLoad> {
  // Handles are passed as 64-bit numbers.
  if (process.arch !== "x64" && process.arch !== "arm64") return { kind: "no_driver" };
  const koffi = await importKoffi();
  if (koffi === null) return { kind: "unusable", why: "the optional package koffi is not installed" };
  for (const path of libraries[platform] ?? []) {
    const library = openLibrary(koffi, path);
    if (library === null) continue;
    try {
      return { kind: "loaded", nvml: await openNvml(library) };
    } catch (error) {
      return { kind: "unusable", why: error instanceof Error ? error.message : String(error) };
    }
  }
  return { kind: "no_driver" };
}

function openLibrary(koffi: Koffi, path: string): NativeLibrary | null {
  try {
    return koffi.load(path);
  } catch {
    return null;
  }
}

/** Begins a session. Rejects where it cannot. */
export async function openNvml(library: NativeLibrary): Promise<Nvml> {
  const init = library.func("int nvmlInit_v2()");
  const systemVersion = library.func("int nvmlSystemGetDriverVersion(void *out, unsigned int length)");
  const count = library.func("int nvmlDeviceGetCount_v2(void *out)");
  const handleOf = library.func("int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void *out)");
  const uuidOf = library.func("int nvmlDeviceGetUUID(uint64_t device, void *out, unsigned int length)");
  const nameOf = library.func("int nvmlDeviceGetName(uint64_t device, void *out, unsigned int length)");
  const utilizationOf = library.func("int nvmlDeviceGetUtilizationRates(uint64_t device, void *out)");
  const memoryV1 = library.func("int nvmlDeviceGetMemoryInfo(uint64_t device, void *out)");
  // Younger than the drivers that some desktops have.
  const memoryV2 = optional(library, "int nvmlDeviceGetMemoryInfo_v2(uint64_t device, void *out)");
  const migMode = optional(library, "int nvmlDeviceGetMigMode(uint64_t device, void *current, void *pending)");
  const lists = ["Compute", "Graphics"].map(
    (kind) =>
      optional(library, `int nvmlDeviceGet${kind}RunningProcesses_v3(uint64_t device, void *count, void *out)`) ??
      optional(library, `int nvmlDeviceGet${kind}RunningProcesses_v2(uint64_t device, void *count, void *out)`),
  );

  async function memory(handle: bigint): Promise<NvmlMemory> {
    if (memoryV2 !== null) {
      const out = Buffer.alloc(memoryV2Bytes);
      out.writeUInt32LE(memoryV2Version);
      if (await told("memory", memoryV2, handle, out)) return { total: bytesAt(out, 8), free: bytesAt(out, 24) };
    }
    const out = Buffer.alloc(24);
    if (!(await supported("memory", memoryV1, handle, out))) return { total: 0, free: 0 };
    return { total: bytesAt(out, 0), free: bytesAt(out, 8) };
  }

  async function utilization(handle: bigint): Promise<number | null> {
    const out = Buffer.alloc(8);
    return (await told("utilization", utilizationOf, handle, out)) ? out.readUInt32LE(0) : null;
  }

  async function isPartitioned(handle: bigint): Promise<boolean> {
    if (migMode === null) return false;
    const [current, pending] = [Buffer.alloc(4), Buffer.alloc(4)];
    return (await told("MIG mode", migMode, handle, current, pending)) && current.readUInt32LE(0) === 1;
  }

  async function card(index: number): Promise<NvmlCard> {
    const out = Buffer.alloc(8);
    await must("handle", handleOf, index, out);
    const handle = out.readBigUInt64LE(0);
    const [uuid, name] = [Buffer.alloc(uuidBytes), Buffer.alloc(nameBytes)];
    await must("UUID", uuidOf, handle, uuid, uuid.length);
    await must("name", nameOf, handle, name, name.length);
    return {
      handle,
      index,
      uuid: textOf(uuid),
      name: textOf(name),
      memory: await memory(handle),
      utilization: await utilization(handle),
      isPartitioned: await isPartitioned(handle),
    };
  }

  await must("session", init);
  const version = Buffer.alloc(versionBytes);
  await must("driver version", systemVersion, version, version.length);
  return {
    driverVersion: textOf(version),
    async cards() {
      const out = Buffer.alloc(4);
      await must("number of cards", count, out);
      return readEach(out.readUInt32LE(0), card);
    },
    async processes({ handle }) {
      // A program that computes and draws stands in both lists, with the same figure.
      const used = new Map<number, NvmlProcess>();
      for (const list of lists) {
        const rows = list === null ? null : await processesOf(list, handle);
        if (rows === null) return null;
        for (const row of rows) used.set(row.pid, row);
      }
      return [...used.values()];
    },
  };
}

async function processesOf(list: NativeFunction, handle: bigint): Promise<readonly NvmlProcess[] | null> {
  for (const room of [fewProcesses, manyProcesses]) {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(room);
    const out = Buffer.alloc(room * processBytes);
    const code = await call(list, handle, count, out);
    if (code === insufficientSize) continue;
    if (code === notSupported) return null;
    check("processes", code);
    return Array.from({ length: count.readUInt32LE(0) }, (_, row) => {
      const used = out.readBigUInt64LE(row * processBytes + 8);
      return { pid: out.readUInt32LE(row * processBytes), usedBytes: used === unknownBytes ? null : Number(used) };
    });
  }
  throw new NvmlError(`NVML: more than ${manyProcesses} processes on one card`);
}

function optional(library: NativeLibrary, declaration: string): NativeFunction | null {
  try {
    return library.func(declaration);
  } catch {
    return null;
  }
}

/** On a thread of koffi's: a driver that hangs must not hold this process up. */
function call(native: NativeFunction, ...args: readonly (bigint | number | Buffer)[]): Promise<number> {
  const answer = new Promise<number>((resolve, reject) => {
    native.async(...args, (error, result) => {
      if (error === null || error === undefined) resolve(result);
      else reject(error instanceof Error ? error : new NvmlError(`NVML: ${JSON.stringify(error)}`));
    });
  });
  return keepingThread(answer);
}

async function must(
  what: string,
  native: NativeFunction,
  ...args: readonly (bigint | number | Buffer)[]
): Promise<void> {
  check(what, await call(native, ...args));
}

/** False: this card does not have it. */
async function supported(
  what: string,
  native: NativeFunction,
  ...args: readonly (bigint | number | Buffer)[]
): Promise<boolean> {
  const code = await call(native, ...args);
  if (code === notSupported) return false;
  check(what, code);
  return true;
}

/**
 * False: the driver does not tell, whatever it says of why: a figure that can be done without costs no card. WSL's answers the younger question
 * for memory by an unknown error. A card that is lost is lost all the same.
 */
async function told(
  what: string,
  native: NativeFunction,
  ...args: readonly (bigint | number | Buffer)[]
): Promise<boolean> {
  const code = await call(native, ...args);
  if (code === offTheBus || code === needsReset) check(what, code);
  return code === 0;
}

function check(what: string, code: number): void {
  if (code !== 0) throw new NvmlError(`NVML: ${what}: ${messages[code] ?? "failed"} (${code})`);
}

/** Exact up to 8 PiB. */
function bytesAt(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}

function textOf(buffer: Buffer): string {
  const end = buffer.indexOf(0);
  return buffer.toString("utf8", 0, end === -1 ? buffer.length : end);
}
