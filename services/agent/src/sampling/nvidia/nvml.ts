import { unknownUse, withoutRoom, type CardMeasure, type GpuReading, type ProcessVram } from "../gpu.ts";

/** The driver's own library, as a port. Calls do not block this process, and reject with NvmlError. */
export interface Nvml {
  readonly driverVersion: string;
  /** Cards in the order in which the driver counts. Rejects when none of them can be read. */
  cards(): Promise<readonly (NvmlCard | LostNvmlCard)[]>;
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

/** One that cannot be read while others can: it has fallen off the bus, or waits for a reset. */
export interface LostNvmlCard {
  readonly index: number;
  readonly lostBy: unknown;
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

/** What is known of a card that is lost: as it was told last, by its index. null: nothing. */
export type RecallCard = (lost: LostNvmlCard) => CardMeasure | null;

/** What NVML tells, as `nvidia-smi` would show it. A card that is lost is what it was, with nothing given away. */
export async function readNvml(
  nvml: Nvml,
  withProcesses: boolean,
  recall: RecallCard = () => null,
): Promise<GpuReading> {
  const told = await nvml.cards();
  const cards: CardMeasure[] = [];
  let processes: ProcessVram[] | null = [];
  let failure: { readonly error: unknown } | null = null;
  let isAnyRead = false;
  const lose = (lost: LostNvmlCard): void => {
    const { cards: known } = withoutRoom([recall(lost)].filter((card) => card !== null));
    cards.push(...known.map((card) => ({ ...card, isOutOfCount: true })));
    processes?.push(...unknownUse(known));
  };
  for (const card of told) {
    if ("lostBy" in card) {
      lose(card);
      continue;
    }
    try {
      // Cards of one driver all tell, or none does.
      const rows: readonly NvmlProcess[] | null = withProcesses ? await nvml.processes(card) : [];
      if (rows === null) processes = null;
      else processes?.push(...rows.map((row) => toVram(card, row)));
      cards.push(toMeasure(card));
      isAnyRead = true;
    } catch (error) {
      failure ??= { error };
      lose({ index: card.index, lostBy: error });
    }
  }
  // With none left it is the driver that fails.
  if (failure !== null && !isAnyRead) throw failure.error;
  return { cards, processes };
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
    ...(isPartitioned && { isOutOfCount: true }),
  };
}

function toVram(card: NvmlCard, { pid, usedBytes }: NvmlProcess): ProcessVram {
  return {
    cardId: toMeasure(card).cardId,
    pid,
    vramMib: usedBytes === null ? null : Math.floor(usedBytes / bytesPerMib),
  };
}
