import type { CardMeasure, GpuReading, ProcessVram } from "../gpu.ts";

/** The driver's own library, as a port. Calls do not block this process, and reject with NvmlError. */
export interface Nvml {
  readonly driverVersion: string;
  /** Cards in the order in which the driver counts. */
  cards(): Promise<readonly NvmlCard[]>;
  /** Processes that hold memory of a card; null: the driver does not tell. */
  processes(card: NvmlCard): Promise<readonly NvmlProcess[] | null>;
}

/** One card as NVML tells. */
export interface NvmlCard {
  /** NVML's own name for it; good as long as the library is loaded. */
  readonly handle: bigint;
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  readonly memory: NvmlMemory;
  /** Percent; null: not told, as in MIG mode. */
  readonly utilization: number | null;
  /** Divided into instances (MIG). */
  readonly isPartitioned: boolean;
}

/** In bytes. */
export interface NvmlMemory {
  readonly total: number;
  readonly free: number;
}

export interface NvmlProcess {
  readonly pid: number;
  /** null: the driver does not tell, as on Windows. */
  readonly usedBytes: number | null;
}

/** A call of the library failed. */
export class NvmlError extends Error {
  override readonly name = "NvmlError";
}

const bytesPerMib = 1_048_576;

/** What NVML tells, as `nvidia-smi` would show it. */
export async function readNvml(nvml: Nvml, withProcesses: boolean): Promise<GpuReading> {
  const cards = await nvml.cards();
  if (!withProcesses) return { cards: cards.map(toMeasure), processes: [] };
  const told: ProcessVram[] = [];
  for (const card of cards) {
    const processes = await nvml.processes(card);
    // Cards of one driver all tell, or none does.
    if (processes === null) return { cards: cards.map(toMeasure), processes: null };
    told.push(...processes.map((process) => toVram(card, process)));
  }
  return { cards: cards.map(toMeasure), processes: told };
}

function toMeasure({ index, uuid, name, memory, utilization, isPartitioned }: NvmlCard): CardMeasure {
  const totalMib = Math.floor(memory.total / bytesPerMib);
  // A program finds the first instance only of a divided card, and of that we know nothing: it is there, and nothing is given away.
  const availableMib = isPartitioned ? 0 : Math.min(totalMib, Math.floor(memory.free / bytesPerMib));
  return {
    cardId: uuid === "" ? `gpu-${index}` : uuid.slice(0, 128),
    index,
    model: name.slice(0, 128),
    totalMib,
    availableMib,
    utilization: Math.min(100, utilization ?? 0),
    sharedMemory: false,
    declared: false,
  };
}

function toVram(card: NvmlCard, { pid, usedBytes }: NvmlProcess): ProcessVram {
  return {
    cardId: toMeasure(card).cardId,
    pid,
    vramMib: usedBytes === null ? null : Math.floor(usedBytes / bytesPerMib),
  };
}
