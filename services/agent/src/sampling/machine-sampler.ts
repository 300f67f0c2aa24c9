import { timestampFromMs, wire } from "@headroom/contracts";
import { sleep, type Ports } from "@headroom/runtime";
import type { ProcessTable } from "../processes/process-table.ts";
import { attemptUses, type Baseline } from "./attempt-uses.ts";
import { usableCpuCount } from "./cgroup.ts";
import type { CpuMemory, CpuMemoryMeter } from "./cpu-memory.ts";
import type { DeclaredResources, Offer } from "./declared.ts";
import { foreignCpu } from "./foreign-cpu.ts";
import type { GpuProbe, GpuReading } from "./gpu.ts";
import { ProcessUseTracker } from "./process-use.ts";
import type { ListedAttempt, Sampler } from "./sampler.ts";

export interface MachineSamplerOptions {
  readonly ports: Ports;
  readonly processes: ProcessTable;
  readonly meter: CpuMemoryMeter;
  readonly gpus: GpuProbe;
  readonly declared: DeclaredResources;
  readonly offer: Offer;
}

/** What was measured of the machine at one moment, declared figures put in place of measured ones. */
export interface MachineMeasure extends CpuMemory {
  readonly gpu: GpuReading;
}

/** `systeminformation` needs two looks at least 200 ms apart for a load that is of now and not of all time since boot. */
const primingMs = 250;

/** Samples this very machine. */
export function machineSampler(options: MachineSamplerOptions): Sampler {
  const { ports, meter, gpus, declared, offer } = options;
  const tracker = new ProcessUseTracker(options.processes, ports.clock, usableCpuCount());
  const baselines = new Map<string, Baseline>();
  const foreign = foreignCpu();
  let last: MachineMeasure | undefined;
  let started: Promise<void> | undefined;

  async function start(): Promise<void> {
    await meter.measure();
    await sleep(ports.timers, primingMs);
  }

  async function measure(attempts: readonly ListedAttempt[]): Promise<MachineMeasure> {
    // The driver takes up to a second: ask it first, so that what is quick is from the same moment as the processes.
    const gpu = await gpus.read(attempts.some((attempt) => attempt.reserved.cards.length > 0));
    return { ...(await meter.measure()), gpu };
  }

  /** What is available beside what other programs take and what the attempts listed use now; one that has just ended takes nothing. */
  function settledCpu(measured: MachineMeasure, uses: readonly wire.AttemptUse[]): number {
    const { cpuTotalMillicores: total, cpuAvailableMillicores: idle } = measured;
    const others = foreign.measure(total - idle, tracker.ownCpuMs(), ports.clock.monotonic());
    const own = sum(uses.map((use) => use.cpuMillicores));
    return Math.max(0, Math.floor(total - others - own));
  }

  return {
    start: () => (started ??= start()),
    async sample(attempts) {
      const measured = await measure(attempts);
      const processUse = await tracker.scan(attempts);
      const sampledAtMs = ports.clock.now();
      rememberBaselines(baselines, attempts, last ?? measured);
      const uses = attemptUses({ attempts, machine: measured, processUse, baselines });
      for (const use of uses)
        tracker.noteVram(
          use.attemptId,
          use.cards.reduce((sum, card) => sum + card.vramMib, 0),
        );
      last = measured;
      // Without process figures use is derived from what is available: nothing to correct then.
      const settled =
        processUse === null ? measured : { ...measured, cpuAvailableMillicores: settledCpu(measured, uses) };
      return toSample(settled, uses, sampledAtMs, declared, offer);
    },
    async watchPeaks(attempts) {
      await tracker.scan(attempts);
    },
    takeTotal: (attemptId, exitCpuMs) => tracker.take(attemptId, exitCpuMs),
  };
}

/** What was available before an attempt began: the measurement before the first that lists it. */
function rememberBaselines(
  baselines: Map<string, Baseline>,
  attempts: readonly ListedAttempt[],
  before: MachineMeasure,
): void {
  const listed = new Set(attempts.map((attempt) => attempt.attemptId));
  for (const attemptId of baselines.keys()) if (!listed.has(attemptId)) baselines.delete(attemptId);
  for (const attemptId of listed) {
    if (baselines.has(attemptId)) continue;
    baselines.set(attemptId, {
      cpuMillicores: before.cpuAvailableMillicores,
      memoryMib: before.memoryAvailableMib,
      cards: new Map(before.gpu.cards.map((card) => [card.cardId, card.availableMib])),
    });
  }
}

function toSample(
  measured: MachineMeasure,
  uses: readonly wire.AttemptUse[],
  sampledAtMs: number,
  declared: DeclaredResources,
  offer: Offer,
): wire.Sample {
  const usedCpu = sum(uses.map((use) => use.cpuMillicores));
  const usedMemory = sum(uses.map((use) => use.memoryMib));
  return {
    sampledAt: timestampFromMs(sampledAtMs),
    cpuLoad: measured.cpuLoadPercent,
    cpuMillicores: dimension(
      measured.cpuTotalMillicores,
      measured.cpuAvailableMillicores,
      declared.cpuMillicores,
      usedCpu,
      offer.cpuMillicores,
    ),
    memoryMib: dimension(
      measured.memoryTotalMib,
      measured.memoryAvailableMib,
      declared.memoryMib,
      usedMemory,
      offer.memoryMib,
    ),
    cards: measured.gpu.cards.map((card) =>
      wire.CardSample.fromPartial({
        cardId: card.cardId,
        index: card.index,
        model: card.model,
        sharedMemory: card.sharedMemory,
        utilization: card.utilization,
        vramMib: {
          total: card.totalMib,
          available: card.availableMib,
          declared: card.declared,
          ...(offer.vramMib === null ? {} : { offer: offer.vramMib }),
        },
      }),
    ),
    attempts: [...uses],
  };
}

/** A declared total stands for itself: available is then what Headroom's own attempts leave of it. */
function dimension(
  total: number,
  available: number,
  declaredTotal: number | null,
  used: number,
  offer: number | null,
): wire.Dimension {
  const isDeclared = declaredTotal !== null;
  return wire.Dimension.fromPartial({
    total: declaredTotal ?? total,
    available: isDeclared ? Math.max(0, declaredTotal - used) : available,
    declared: isDeclared,
    ...(offer === null ? {} : { offer }),
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
