import type { Logger, Ports } from "@headroom/runtime";
import type { Journal } from "../journal/journal.ts";
import type { OutputStores } from "../output/segment-store.ts";
import type { ProcessRunner } from "../runner/runner.ts";
import type { Sampler } from "../sampling/sampler.ts";
import type { MachineRoom } from "./machine-room.ts";

export interface SupervisorOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly journal: Journal;
  readonly runner: ProcessRunner;
  readonly stores: OutputStores;
  readonly sampler: Pick<Sampler, "takeTotal">;
  /** The owner keeps new work away. */
  isHeldByOwner(): boolean;
  /** Looks anew at what the owner says, so that `isHeldByOwner` knows what was said before this call. Never rejects, and never takes long. */
  lookForHold?(): Promise<void>;
  /** Attempts at once. */
  readonly maxAttempts: number;
  /** What the machine has for them. */
  readonly room: Pick<MachineRoom, "fits">;
  /** The list of attempts is another one: a sample is due at once. */
  onAttemptsChanged(): void;
}

/** Who tells the orchestrator, while a work stream is up. */
export interface SupervisorListener {
  started(attemptId: string): void;
  /** There is more output to send. */
  output(attemptId: string): void;
  finished(attemptId: string): void;
}
