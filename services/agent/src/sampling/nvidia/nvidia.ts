import { Outage, withTimeout, type Logger } from "@headroom/runtime";
import { withoutRoom, type CardMeasure, type GpuProbe, type GpuReading } from "../gpu.ts";
import { cudaCountHere, type CudaCount } from "./cuda-count.ts";
import { nvidiaSmiProbe, type NvidiaSmiOptions } from "./nvidia-smi.ts";
import { loadNvml, type NvmlLoad } from "./nvml-library.ts";
import { NvmlError, readNvml, type Nvml } from "./nvml.ts";

export interface NvidiaOptions extends NvidiaSmiOptions {
  /** Default: the driver's library, through koffi. */
  readonly load?: () => Promise<NvmlLoad>;
  /** Default: the one for this machine. */
  readonly cudaCount?: CudaCount;
}

const defaultTimeoutMs = 5_000;
/** After NVML failed, and on a machine without it. `nvidia-smi` is asked meanwhile: it loads a driver that was updated afresh. */
const tryAgainMs = 300_000;

/** NVIDIA cards through the driver's library (NVML); where that cannot be, through `nvidia-smi`. Which of the two is said once. */
export function nvidiaProbe(options: NvidiaOptions): GpuProbe {
  const { ports, timeoutMs = defaultTimeoutMs, cudaCount = cudaCountHere } = options;
  const { load = () => loadNvml(options.platform) } = options;
  const tool = nvidiaSmiProbe(options);
  const say = sayOnce(options.logger);
  const loss = new Outage(options.logger, {
    fails: "an NVIDIA card cannot be read: no room is promised on it, and the others are told as ever",
    works: "every NVIDIA card can be read again",
  });
  let nvml: Nvml | null = null;
  let why = "";
  /** As told last, by whichever way. */
  let lastCards: readonly CardMeasure[] = [];
  let nextLoadMs = Number.NEGATIVE_INFINITY;
  /** A call that hangs inside the driver: another one would only join it. */
  let isHanging = false;

  async function throughNvml(withProcesses: boolean): Promise<GpuReading | null> {
    const nowMs = ports.clock.monotonic();
    if (isHanging || (nvml === null && nowMs < nextLoadMs)) return null;
    isHanging = true;
    const reading = readOnce(withProcesses);
    const done = (): void => {
      isHanging = false;
    };
    reading.then(done, done);
    try {
      return await withTimeout(ports.timers, timeoutMs, reading, () => new NvmlError(`NVML hangs for ${timeoutMs} ms`));
    } catch (error) {
      nvml = null;
      nextLoadMs = ports.clock.monotonic() + tryAgainMs;
      why = error instanceof Error ? error.message : String(error);
      return null;
    }
  }

  async function readOnce(withProcesses: boolean): Promise<GpuReading | null> {
    nvml ??= await begin();
    if (nvml === null) return null;
    let isAnyLost = false;
    const reading = await readNvml(nvml, withProcesses, ({ index, lostBy }) => {
      isAnyLost = true;
      loss.failed(lostBy, { index });
      return lastCards.find((card) => card.index === index) ?? null;
    });
    if (!isAnyLost) loss.worked();
    return reading;
  }

  function remember(reading: GpuReading): GpuReading {
    lastCards = reading.cards;
    cudaCount.cardsRead(reading.cards);
    return reading;
  }

  async function begin(): Promise<Nvml | null> {
    const loaded = await load();
    if (loaded.kind === "loaded") return loaded.nvml;
    why = loaded.kind === "unusable" ? loaded.why : "";
    nextLoadMs = ports.clock.monotonic() + tryAgainMs;
    return null;
  }

  return {
    async read(withProcesses) {
      const reading = await throughNvml(withProcesses);
      if (reading !== null) {
        say("NVML", { driver: nvml?.driverVersion, cards: reading.cards.length });
        return remember(reading);
      }
      const fromTool = await tool.read(withProcesses);
      // The driver fails both ways, or the tool is not there: the cards are, all the same.
      if (fromTool.cards.length === 0) return lastCards.length === 0 ? fromTool : withoutRoom(lastCards);
      say("nvidia-smi", { cards: fromTool.cards.length, ...(why !== "" && { why }) });
      return remember(fromTool);
    },
  };
}

/** Says by which way the cards are read, the first time and when it becomes another. */
function sayOnce(logger: Logger): (way: string, fields: Readonly<Record<string, unknown>>) => void {
  let said: string | null = null;
  return (way, fields) => {
    if (said === way) return;
    said = way;
    logger.info(fields, `NVIDIA cards are read through ${way}`);
  };
}
