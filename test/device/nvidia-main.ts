/**
 * Holds what the agent measures of real NVIDIA cards against what `nvidia-smi` says, while a program of its own takes VRAM through
 * libcuda. Run it on a machine with a card: `node scripts/device-check.mjs` packs it, and says how to start it there. Prints JSON.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { silentLogger, systemPorts, sleep } from "@headroom/runtime";
import koffi from "koffi";
import { systemProcessTable } from "../../services/agent/src/processes/system-table.ts";
import { cpuMemoryMeter } from "../../services/agent/src/sampling/cpu-memory.ts";
import type { GpuProbe, GpuReading } from "../../services/agent/src/sampling/gpu.ts";
import { machineSampler } from "../../services/agent/src/sampling/machine-sampler.ts";
import { nvidiaSmiProbe } from "../../services/agent/src/sampling/nvidia/nvidia-smi.ts";
import { nvidiaProbe } from "../../services/agent/src/sampling/nvidia/nvidia.ts";

const heldMib = 2_048;
const cudaLibraries = ["libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"];
const queries = {
  list: ["-L"],
  cards: ["--query-gpu=index,uuid,memory.total,memory.free,utilization.gpu,name", "--format=csv,noheader,nounits"],
  memory: [
    "--query-gpu=memory.total,memory.reserved,memory.used,memory.free,mig.mode.current,driver_version",
    "--format=csv",
  ],
  processes: ["--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits"],
};

if (process.argv[2] === "hold") await hold();
else await check();

/** Takes VRAM of the first card and holds it until stdin ends. */
async function hold(): Promise<void> {
  const cuda = openFirst(cudaLibraries);
  const must = (what: string, code: number): void => {
    if (code !== 0) throw new Error(`${what}: CUDA error ${code}`);
  };
  const [device, context, memory] = [Buffer.alloc(4), Buffer.alloc(8), Buffer.alloc(8)];
  must("cuInit", cuda.func("int cuInit(unsigned int flags)")(0));
  must("cuDeviceGet", cuda.func("int cuDeviceGet(void *out, int ordinal)")(device, 0));
  const retain = cuda.func("int cuDevicePrimaryCtxRetain(void *out, int device)");
  must("cuDevicePrimaryCtxRetain", retain(context, device.readInt32LE(0)));
  must("cuCtxSetCurrent", cuda.func("int cuCtxSetCurrent(uint64_t context)")(context.readBigUInt64LE(0)));
  const bytes = BigInt(heldMib) * 1_048_576n;
  must("cuMemAlloc", cuda.func("int cuMemAlloc_v2(void *out, uint64_t bytes)")(memory, bytes));
  const set = cuda.func("int cuMemsetD8_v2(uint64_t at, unsigned char value, uint64_t bytes)");
  must("cuMemsetD8", set(memory.readBigUInt64LE(0), 1, bytes));
  must("cuCtxSynchronize", cuda.func("int cuCtxSynchronize()")());
  process.stdout.write("ready\n");
  for await (const ignored of process.stdin) void ignored;
}

function openFirst(paths: readonly string[]): ReturnType<typeof koffi.load> {
  for (const path of paths) {
    try {
      return koffi.load(path);
    } catch {
      // The next one, then.
    }
  }
  throw new Error(`none of ${paths.join(", ")} can be loaded`);
}

function smi(args: readonly string[]): string {
  try {
    return execFileSync("nvidia-smi", args, { encoding: "utf8" });
  } catch (error) {
    return `failed: ${String(error)}`;
  }
}

async function timed(probe: GpuProbe): Promise<{ ms: number; reading: GpuReading }> {
  const startedMs = performance.now();
  const reading = await probe.read(true);
  return { ms: Math.round((performance.now() - startedMs) * 100) / 100, reading };
}

async function check(): Promise<void> {
  const { env } = process;
  const ways: string[] = [];
  const logger = {
    ...silentLogger,
    info: (fields: unknown, message?: string) => void ways.push(`${message} ${JSON.stringify(fields)}`),
  };
  const library = nvidiaProbe({ ports: systemPorts, logger, env });
  const tool = nvidiaSmiProbe({ ports: systemPorts, logger: silentLogger, env });
  const look = async () => ({
    nvml: await timed(library),
    nvmlAgain: (await timed(library)).ms,
    tool: await timed(tool),
    raw: Object.fromEntries(Object.entries(queries).map(([name, args]) => [name, smi(args)])),
  });
  const idle = await look();

  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? "", "hold"], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  if (line.toString() !== "ready\n" || child.pid === undefined) throw new Error(`the holder said ${line.toString()}`);
  const held = await look();
  const card = held.nvml.reading.cards[0];
  const sampler = machineSampler({
    ports: systemPorts,
    processes: systemProcessTable(),
    meter: cpuMemoryMeter({ clock: systemPorts.clock }),
    gpus: library,
    declared: { cpuMillicores: null, memoryMib: null, cards: null },
    offer: { cpuMillicores: null, memoryMib: null, vramMib: null },
  });
  await sampler.start();
  const reserved = [{ cardId: card?.cardId ?? "", vramMib: 4_096, exclusive: false }];
  const sample = await sampler.sample([
    {
      attemptId: "11111111-1111-4111-8111-111111111111",
      fence: 1,
      reserved: { cpuMillicores: 1_000, memoryMib: 1_024, cards: reserved },
      pid: child.pid,
    },
  ]);
  const ended = once(child, "exit");
  child.stdin.end();
  await ended;
  await sleep(systemPorts.timers, 1_000);
  const after = await look();
  const free = (reading: GpuReading): number => reading.cards[0]?.availableMib ?? 0;
  const summary = {
    ways,
    heldMib,
    differences: {
      cardsEqual:
        JSON.stringify(card && { ...card, availableMib: 0, utilization: 0 }) ===
        JSON.stringify(
          held.tool.reading.cards[0] && { ...held.tool.reading.cards[0], availableMib: 0, utilization: 0 },
        ),
      freeNvmlMinusToolMib: free(held.nvml.reading) - free(held.tool.reading),
      takenMib: {
        nvml: free(idle.nvml.reading) - free(held.nvml.reading),
        tool: free(idle.tool.reading) - free(held.tool.reading),
      },
      givenBackMib: {
        nvml: free(after.nvml.reading) - free(held.nvml.reading),
        tool: free(after.tool.reading) - free(held.tool.reading),
      },
    },
    holder: {
      pid: child.pid,
      nvml: held.nvml.reading.processes?.filter((row) => row.pid === child.pid) ?? null,
      tool: held.tool.reading.processes?.filter((row) => row.pid === child.pid) ?? null,
      attempt: sample.attempts,
    },
    costMs: {
      nvmlFirst: idle.nvml.ms,
      nvml: [idle.nvmlAgain, held.nvmlAgain, after.nvmlAgain],
      tool: [idle.tool.ms, held.tool.ms, after.tool.ms],
    },
  };
  process.stdout.write(`${JSON.stringify({ summary, idle, held, after, sampleCards: sample.cards }, null, 1)}\n`);
  process.exit(0);
}
