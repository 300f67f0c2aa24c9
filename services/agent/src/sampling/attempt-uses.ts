import { wire } from "@headroom/contracts";
import type { CpuMemory } from "./cpu-memory.ts";
import type { CardMeasure, GpuReading } from "./gpu.ts";
import type { ProcessUse } from "./process-use.ts";
import type { ListedAttempt } from "./sampler.ts";
import { unmeasuredUse } from "./unmeasured-use.ts";
import { errorCode } from "@headroom/runtime";

/** What was available when an attempt began. */
export interface Baseline {
  readonly cpuMillicores: number;
  readonly memoryMib: number;
  readonly cards: ReadonlyMap<string, number>;
}

export interface AttemptUsesInput {
  readonly attempts: readonly ListedAttempt[];
  readonly machine: CpuMemory & { readonly gpu: GpuReading };
  /** null: the system does not tell about processes. */
  readonly processUse: ReadonlyMap<string, ProcessUse> | null;
  readonly baselines: ReadonlyMap<string, Baseline>;
}

/** What each attempt uses: measured where that can be, else derived from what the machine has lost since it began. */
export function attemptUses(input: AttemptUsesInput): readonly wire.AttemptUse[] {
  const { attempts, machine, processUse, baselines } = input;
  const derived = processUse === null ? attempts.filter((attempt) => attempt.pid !== null) : [];
  const cpu = unmeasuredUse(
    derived.map(({ attemptId, reserved }) => ({
      attemptId,
      reserved: reserved.cpuMillicores,
      availableAtStart: baselines.get(attemptId)?.cpuMillicores ?? 0,
    })),
    machine.cpuAvailableMillicores,
    machine.cpuTotalMillicores - machine.cpuAvailableMillicores,
  );
  const memory = unmeasuredUse(
    derived.map(({ attemptId, reserved }) => ({
      attemptId,
      reserved: reserved.memoryMib,
      availableAtStart: baselines.get(attemptId)?.memoryMib ?? 0,
    })),
    machine.memoryAvailableMib,
    machine.memoryTotalMib - machine.memoryAvailableMib,
  );
  const vram = new Map(machine.gpu.cards.map((card) => [card.cardId, cardUse(card, input)]));
  return attempts.map(({ attemptId, fence, reserved }) => {
    const measured = processUse?.get(attemptId);
    return wire.AttemptUse.fromPartial({
      attemptId,
      fence,
      cpuMillicores: measured?.cpuMillicores ?? cpu.get(attemptId) ?? 0,
      memoryMib: measured?.memoryMib ?? memory.get(attemptId) ?? 0,
      cards: machine.gpu.cards.flatMap((card) => {
        const promised = reserved.cards.find((candidate) => candidate.cardId === card.cardId);
        const vramMib = vram.get(card.cardId)?.get(attemptId) ?? 0;
        if (promised === undefined && vramMib === 0) return [];
        return [{ cardId: card.cardId, vramMib, exclusive: promised?.exclusive ?? false }];
      }),
    });
  });
}

/** VRAM of one card by attempt. */
function cardUse(card: CardMeasure, input: AttemptUsesInput): ReadonlyMap<string, number> {
  const { attempts, machine, processUse, baselines } = input;
  const use = new Map<string, number>();
  const rows = machine.gpu.processes?.filter((row) => row.cardId === card.cardId) ?? null;
  for (const { attemptId } of attempts) {
    const pids = processUse?.get(attemptId)?.pids;
    const own = rows?.filter((row) => pids?.has(row.pid) === true && row.vramMib !== null) ?? [];
    if (own.length > 0) use.set(attemptId, Math.ceil(own.reduce((total, row) => total + (row.vramMib ?? 0), 0)));
  }
  // The driver tells all when every row has a figure. A process that it names by a number of another namespace (containers),
  // or without a figure (Windows), may be one of ours.
  const tellsAll =
    rows !== null && rows.every((row) => row.vramMib !== null && row.pid > 0 && isNative(row.pid, processUse));
  if (tellsAll || card.declared) return use;
  const measured = [...use.values()].reduce((total, value) => total + value, 0);
  const derived = unmeasuredUse(
    attempts
      .filter(
        ({ attemptId, reserved, pid }) =>
          pid !== null && !use.has(attemptId) && reserved.cards.some((own) => own.cardId === card.cardId),
      )
      .map(({ attemptId, reserved }) => ({
        attemptId,
        reserved: reserved.cards.find((own) => own.cardId === card.cardId)?.vramMib ?? 0,
        availableAtStart: baselines.get(attemptId)?.cards.get(card.cardId) ?? 0,
      })),
    card.availableMib,
    card.totalMib - card.availableMib - measured,
  );
  for (const [attemptId, vramMib] of derived) use.set(attemptId, vramMib);
  return use;
}

/** Whether the driver's process numbers are ours: known when one of them is found, or when nobody could be missed. */
function isNative(pid: number, processUse: ReadonlyMap<string, ProcessUse> | null): boolean {
  if (processUse === null) return false;
  for (const use of processUse.values()) if (use.pids.has(pid)) return true;
  return pidExists(pid);
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}
