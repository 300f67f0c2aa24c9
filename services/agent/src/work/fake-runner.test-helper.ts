import type { Leftover, OutputSink, ProcessRunner, Run, RunEnd, RunExit, RunSpec } from "../runner/runner.ts";

/** A run under the test's control. */
export interface FakeRun {
  readonly spec: RunSpec;
  readonly sink: OutputSink;
  readonly graces: number[];
  frozen: boolean;
  /** Its program ends; what it left behind goes on. */
  exit(end?: Partial<RunExit>): void;
  finish(end?: Partial<RunEnd>): void;
}

export interface FakeRunner extends ProcessRunner {
  readonly runs: FakeRun[];
  readonly leftovers: Leftover[];
  /** Whether what it starts can be stopped without being ended. */
  freezes: boolean;
  /** It cannot tell who is gone. */
  seesNobody: boolean;
  /** It was told that the program is to stop. */
  isStopping: boolean;
  /** Set: the next start fails with it. */
  failWith: string | null;
  /** Whether that is the machine's fault. */
  isMachine: boolean;
}

/** Runs nothing. `endsWhenTold`: a run ends with SIGTERM as soon as it is told to. */
export function fakeRunner(endsWhenTold = true): FakeRunner {
  const runner: FakeRunner = {
    runs: [],
    leftovers: [],
    isStopping: false,
    freezes: true,
    seesNobody: false,
    failWith: null,
    isMachine: false,
    start(spec, sink) {
      const { failWith: sentence, isMachine } = runner;
      if (sentence !== null) return Promise.resolve({ kind: "failed", sentence, isMachine });
      let exit: (exit: RunExit) => void = () => undefined;
      let hasExited = false;
      const exited = new Promise<RunExit>((resolve) => {
        exit = resolve;
      });
      let finish: (end: RunEnd) => void = () => undefined;
      const ended = new Promise<RunEnd>((resolve) => {
        finish = resolve;
      });
      const fake: FakeRun = {
        spec,
        sink,
        graces: [],
        frozen: false,
        exit(end = {}) {
          hasExited = true;
          exit({ exitCode: 0, signal: "", endedAtMs: 1_500, cpuMs: 10, ...end });
        },
        finish: (end = {}) => finish({ exitCode: 0, signal: "", endedAtMs: 2_000, cpuMs: 10, leftBehind: 0, ...end }),
      };
      runner.runs.push(fake);
      const run: Run = {
        pid: 1_000 + runner.runs.length,
        startToken: "token",
        startedAtMs: 1_000,
        exited,
        ended,
        hasExited: () => hasExited,
        isFreezable: runner.freezes,
        end(graceMs) {
          fake.graces.push(graceMs);
          if (endsWhenTold) fake.finish({ exitCode: null, signal: "SIGTERM" });
        },
        freeze: () => (fake.frozen = true),
        thaw: () => (fake.frozen = false),
      };
      return Promise.resolve({ kind: "started", run });
    },
    isBlind: () => runner.seesNobody,
    stopping: () => void (runner.isStopping = true),
    endLeftover(leftover) {
      runner.leftovers.push(leftover);
      return Promise.resolve(2);
    },
  };
  return runner;
}
