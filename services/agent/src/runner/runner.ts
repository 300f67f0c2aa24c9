export interface VisibleCard {
  readonly cardId: string;
  /** As its vendor's driver counts: two vendors both begin at 0. */
  readonly index: number;
}

/** What to run. */
export interface RunSpec {
  readonly attemptId: string;
  readonly taskId: string;
  readonly planId: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** "" means a fresh folder, removed afterwards. */
  readonly workingDir: string;
  /** Cards made visible to the process, each to its vendor's programs. */
  readonly cards: readonly VisibleCard[];
}

export type OutputSource = "stdout" | "stderr";

/** Takes what a process writes, in order; the process's pipe is read on when it resolves. Never rejects. */
export type OutputSink = (source: OutputSource, data: Buffer) => Promise<void>;

/** The first process of a run has ended. */
export interface RunExit {
  /** null: a signal ended it. */
  readonly exitCode: number | null;
  /** Such as "SIGKILL"; "" when it exited. */
  readonly signal: string;
  readonly endedAtMs: number;
  /** CPU time as the system accounted it to the command; null where that cannot be told apart. */
  readonly cpuMs: number | null;
}

/** The processes of a run are gone. */
export interface RunEnd extends RunExit {
  /** Processes that the command left behind, in its group or escaped from it, and that were ended. */
  readonly leftBehind: number;
}

/** A command that runs. */
export interface Run {
  /** Of the first process; also of its process group. */
  readonly pid: number;
  readonly startToken: string | null;
  readonly startedAtMs: number;
  /** Resolves when the first process has ended, which may be long before all are known to be gone. Never rejects. */
  readonly exited: Promise<RunExit>;
  /** Resolves when every process is gone and all output was taken. Never rejects. */
  readonly ended: Promise<RunEnd>;
  /** Whether the first process has ended by itself already. */
  hasExited(): boolean;
  /** TERM to the group, KILL after the grace; without a grace KILL alone, and nothing frozen goes on. Idempotent; a shorter grace counts. */
  end(graceMs: number): void;
  /** false: `freeze` and `thaw` do nothing on this system. Default true. */
  readonly isFreezable?: boolean;
  /** Stops the processes without ending them: the group at once, what has left it within moments. A thaw meanwhile wins. */
  freeze(): void;
  thaw(): void;
}

export type RunStart =
  | { readonly kind: "started"; readonly run: Run }
  /** `mayStart` said no, or the signal aborted: nothing was started. */
  | { readonly kind: "withheld" }
  | {
      readonly kind: "failed";
      readonly sentence: string;
      /** It is the machine that can start nothing at the moment, whatever the command: no processes, memory, files or disk are left, or a drive is away. */
      readonly isMachine: boolean;
    };

/** What an earlier agent program left running. */
export interface Leftover {
  readonly attemptId: string;
  /** Of its first process; null: not known, or that one had ended: whoever has its number now is a stranger. */
  readonly pid: number | null;
  readonly startToken: string | null;
  /** By the wall clock; null: not known. */
  readonly startedAtMs: number | null;
}

/** Runs commands, as a port. */
export interface ProcessRunner {
  /**
   * Never rejects: what cannot be started is told in a sentence. `mayStart` is asked right before the process is made, and what it says is waited for; that may be
   * long after the call where a folder is slow. `signal` aborts when the start is wanted no more: one that has made no process yet is then
   * answered at once. A runner that makes the process at once need heed neither.
   */
  start(
    spec: RunSpec,
    sink: OutputSink,
    mayStart?: () => boolean | Promise<boolean>,
    signal?: AbortSignal,
  ): Promise<RunStart>;
  /**
   * Ends the processes of an attempt of an earlier agent program, if they are still the same, and then removes its fresh folder; answers how
   * many there were, and null where a process has its number that cannot be told from a stranger: that one is left alone, and may be asked
   * about again.
   */
  endLeftover(leftover: Leftover, graceMs: number): Promise<number | null>;
  /** Removes the fresh folders that earlier programs have left, but those of these attempts, in the background. Never throws. */
  removeLeft?(but: ReadonlySet<string>): void;
  /** Of what it would start now it could not tell when it is gone. Default: never. */
  isBlind?(): boolean;
  /** The program is to stop: what cannot be told is waited for no longer than a stop may take, so that results are written before. */
  stopping?(): void;
}
