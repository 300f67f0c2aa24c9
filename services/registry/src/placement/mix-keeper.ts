/**
 * Keeps what is learned of the tasks over restarts: each minute, and at the end, what has arrived here is added to what all registry processes
 * have seen, and the sum is what this one goes on with. Between two times, at most a minute of arrivals is lost with a process.
 */
import { isSchemaMismatch } from "@headroom/postgres";
import { type Logger, type ManagedService, type Ports, RunLoop } from "@headroom/runtime";
import { normalizeNeeds, placementShape, type ShapeCount, type TaskMix } from "@headroom/scheduling";
import { type KeptMix, type KeptShape, type RegistryStore, StoreUnavailableError } from "../store/registry-store.ts";

const INTERVAL_MS = 60_000;
const MAX_MODELS_LENGTH = 512;

export interface MixKeeperOptions {
  readonly mix: TaskMix;
  readonly store: RegistryStore;
  readonly ports: Ports;
  readonly logger: Logger;
}

export class MixKeeper implements ManagedService {
  readonly name = "task-mix";
  readonly #options: MixKeeperOptions;
  readonly #loop: RunLoop;
  #kept: Pick<KeptMix, "arrivals" | "sinceMs"> | null = null;

  constructor(options: MixKeeperOptions) {
    this.#options = options;
    this.#loop = new RunLoop({
      name: this.name,
      ports: options.ports,
      intervalMs: INTERVAL_MS,
      errorDelayMs: INTERVAL_MS,
      jitterFraction: 0.1,
      runAtStart: false,
      run: () => this.keep(),
      onError: (error) => {
        options.logger[levelOf(error)]({ err: error }, "what was learned of the tasks is kept later");
      },
    });
  }

  /** Arrivals that all processes have kept, and since when; null: nothing has been read yet. */
  get kept(): Pick<KeptMix, "arrivals" | "sinceMs"> | null {
    return this.#kept;
  }

  /** Adds what is new to the store, and takes over what is there. Rejects when the store is away; then nothing is lost. */
  async keep(): Promise<void> {
    const { mix, store } = this.#options;
    const fresh = mix.takeFresh();
    let kept: KeptMix;
    try {
      kept = await store.addToTaskMix(fresh.counts.map(keptShape).filter(isKept));
    } catch (error) {
      mix.giveBack(fresh);
      throw error;
    }
    this.#kept = kept;
    mix.adopt(kept.shapes.map(shapeCount));
  }

  start(): Promise<void> {
    return this.#loop.start();
  }

  /** What is new is kept once more; without a store it is lost, and said so. */
  async stop(reason: string): Promise<void> {
    await this.#loop.stop(reason);
    // Nothing was read: the process did not get so far, and has nothing to keep.
    if (this.#kept === null) return;
    await this.keep();
  }

  state(): ReturnType<ManagedService["state"]> {
    return this.#loop.state();
  }
}

/** A store that is away is told of by others. A schema that does not fit may be that of this table alone. */
function levelOf(error: unknown): "debug" | "warn" | "error" {
  if (!(error instanceof StoreUnavailableError)) return "error";
  return isSchemaMismatch(error) ? "warn" : "debug";
}

function keptShape({ shape, count }: ShapeCount): KeptShape {
  const { cpuMillicores, gpuCount, perCardMib, exclusive, gpuModels } = shape;
  return {
    cpuMillicores,
    gpuCount,
    gpuVramMib: perCardMib,
    gpuExclusive: exclusive,
    gpuModels: gpuModels.toSorted(),
    arrivals: count,
  };
}

/** Shapes are found by their models: a list too long for a row of an index is forgotten. */
function isKept({ gpuModels }: KeptShape): boolean {
  return gpuModels.join().length <= MAX_MODELS_LENGTH;
}

function shapeCount({ arrivals, ...needs }: KeptShape): ShapeCount {
  return { shape: placementShape(normalizeNeeds(needs)), count: arrivals };
}
