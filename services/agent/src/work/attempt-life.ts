import type { AttemptOutcome } from "@headroom/contracts";
import type { AssignedWork, AttemptResult } from "../attempt.ts";
import type { RunEnd } from "../runner/runner.ts";
import { logFields, type EndCause, type HeldAttempt } from "./held-attempt.ts";
import { judgeLease } from "./lease.ts";
import type { SupervisorListener, SupervisorOptions } from "./supervisor-options.ts";

/** The contract's bound on AttemptFinished.sentence. */
const maxSentenceLength = 2_048;
const leftoverGraceMs = 10_000;
/** So long nothing is taken after the machine could start nothing. Orchestrators leave it alone for as long. */
const unfitMs = 30_000;

type Ending = Pick<AttemptResult, "outcome" | "exitCode" | "signal" | "sentence"> & {
  readonly cpuMs: number | null;
  readonly endedAtMs: number;
};

/** Takes an accepted attempt from its start to the moment at which its result stands in the journal. */
export class AttemptLife {
  readonly #options: SupervisorOptions;
  readonly #tell: Omit<SupervisorListener, "output">;
  /** Those that are being started: ended before they have a process, they wait for no folder. */
  readonly #starting = new Map<HeldAttempt, AbortController>();
  #unfitFromMs = Number.NEGATIVE_INFINITY;

  constructor(options: SupervisorOptions, tell: Omit<SupervisorListener, "output">) {
    this.#options = options;
    this.#tell = tell;
  }

  /** The machine could start nothing a moment ago: whatever was given to it now would fail the same way. */
  get isUnfit(): boolean {
    return this.#options.ports.clock.monotonic() - this.#unfitFromMs < unfitMs;
  }

  /** Runs the attempt, in the background. */
  begin(attempt: HeldAttempt, work: AssignedWork): void {
    this.#inBackground(attempt, this.#run(attempt, work));
  }

  /** Ends what an earlier agent program left running, in the background. */
  endLeftover(attempt: HeldAttempt): void {
    this.#inBackground(attempt, this.#endLeftover(attempt));
  }

  /** Ends an attempt before it ends by itself. The first cause counts; of several graces the shortest. */
  end(attempt: HeldAttempt, outcome: EndCause, sentence: string, graceMs: number): void {
    if (attempt.result !== null) return;
    // What has ended by itself has its own outcome; only what it left behind is still being ended.
    if (attempt.run?.hasExited() === true) return attempt.run.end(graceMs);
    if (attempt.endCause === null)
      this.#options.logger.info({ ...logFields(attempt), outcome, grace_ms: graceMs }, "ending an attempt");
    attempt.endCause ??= { outcome, sentence, graceMs };
    attempt.run?.end(graceMs);
    this.#starting.get(attempt)?.abort();
  }

  /** Call it at each tick. An attempt whose folder does not answer has a lease too. */
  judgeStart(attempt: HeldAttempt): void {
    if (this.#starting.has(attempt)) this.#mayStart(attempt);
  }

  async #run(attempt: HeldAttempt, work: AssignedWork): Promise<void> {
    const { runner, logger } = this.#options;
    // Cancelled between the answer and here.
    if (!this.#mayStart(attempt)) return this.#finish(attempt, this.#neverStarted());
    const { attemptId, taskId, planId, argv, env, workingDir, cards } = work;
    const starting = new AbortController();
    this.#starting.set(attempt, starting);
    const start = await runner
      .start(
        { attemptId, taskId, planId, argv, env, workingDir, cards },
        (source, data) => attempt.spool.write(source, data),
        () => this.#mayStart(attempt),
        starting.signal,
      )
      .finally(() => this.#starting.delete(attempt));
    if (start.kind === "withheld") return this.#finish(attempt, this.#neverStarted());
    if (start.kind === "failed") {
      const { sentence, isMachine } = start;
      if (isMachine) this.#unfitFromMs = this.#options.ports.clock.monotonic();
      // What no command could have done anything about is no run of it: it goes back to the queue.
      return this.#finish(attempt, {
        ...this.#neverStarted(),
        outcome: isMachine ? "evicted" : "spawn_failed",
        sentence,
      });
    }
    const { run } = start;
    attempt.run = run;
    attempt.pid = run.pid;
    attempt.startedAtMs = run.startedAtMs;
    this.#endIfAsked(attempt);
    logger.info({ ...logFields(attempt), pid: run.pid }, "started an attempt");
    await this.#noteStart(attempt);
    this.#limitTime(attempt, work.runTimeoutMs);
    this.#tell.started(attemptId);
    await this.#finish(attempt, ownEnding(await run.ended));
  }

  /** Leases of what runs are judged by the supervisor; until it runs, here. */
  #mayStart(attempt: HeldAttempt): boolean {
    if (judgeLease(attempt.lease, this.#options.ports.clock.monotonic(), false) === "end")
      this.end(attempt, "lease_expired", "its lease ended without a renewal from the orchestrator", leftoverGraceMs);
    return attempt.endCause === null;
  }

  /** The end may have been asked for while the process was being started. */
  #endIfAsked(attempt: HeldAttempt): void {
    if (attempt.endCause !== null) attempt.run?.end(attempt.endCause.graceMs);
  }

  async #noteStart(attempt: HeldAttempt): Promise<void> {
    const { attemptId, fence, run } = attempt;
    if (run === null) return;
    const { pid, startToken, startedAtMs: atMs } = run;
    // Without this line a restart still finds the processes by their mark, where the system shows environments.
    await this.#options.journal
      .append({ kind: "started", attemptId, fence, pid, startToken, atMs })
      .catch((error: unknown) => {
        this.#options.logger.error({ ...logFields(attempt), err: error }, "the journal could not note a start");
      });
  }

  #limitTime(attempt: HeldAttempt, limitMs: number | null): void {
    if (limitMs === null) return;
    attempt.timeout = this.#options.ports.timers.after(limitMs, () => {
      this.end(attempt, "timed_out", `it ran longer than its run_timeout of ${limitMs / 1_000} s`, leftoverGraceMs);
    });
  }

  async #endLeftover(attempt: HeldAttempt): Promise<void> {
    const { runner, ports } = this.#options;
    const { attemptId, pid, leftoverToken: startToken } = attempt;
    const count = await runner.endLeftover({ attemptId, pid, startToken }, leftoverGraceMs);
    const what = whatWasLeft(count);
    await this.#finish(attempt, {
      outcome: "agent_restarted",
      exitCode: null,
      signal: "",
      sentence: `the agent program ended while this ran, and how far it came is unknown; when the agent came back, ${what}`,
      cpuMs: null,
      endedAtMs: ports.clock.now(),
    });
  }

  #neverStarted(): Ending {
    return {
      outcome: "cancelled",
      exitCode: null,
      signal: "",
      sentence: "it ended before it was started",
      cpuMs: null,
      endedAtMs: this.#options.ports.clock.now(),
    };
  }

  async #finish(attempt: HeldAttempt, ending: Ending): Promise<void> {
    const { journal, logger, sampler } = this.#options;
    attempt.timeout?.cancel();
    await attempt.spool.flush();
    const { cpuMs, endedAtMs, ...own } = ending;
    const cause = attempt.endCause;
    const wasEnded =
      cause !== null &&
      own.outcome !== "spawn_failed" &&
      own.outcome !== "evicted" &&
      own.outcome !== "agent_restarted";
    const outcome: AttemptOutcome = wasEnded ? cause.outcome : own.outcome;
    const sentence = wasEnded ? [cause.sentence, own.sentence].filter((part) => part !== "").join("; ") : own.sentence;
    const result: AttemptResult = {
      ...own,
      outcome,
      sentence: sentence.slice(0, maxSentenceLength),
      startedAtMs: attempt.startedAtMs,
      finishedAtMs: endedAtMs,
      used: sampler.takeTotal(attempt.attemptId, cpuMs),
      lastOutputSeq: attempt.spool.lastSeq,
    };
    const { attemptId, fence } = attempt;
    await journal.append({ kind: "finished", attemptId, fence, ...result }).catch((error: unknown) => {
      // Told all the same. Should the agent die before it is acknowledged, the next one says AGENT_RESTARTED.
      logger.error({ ...logFields(attempt), err: error }, "the journal could not note a result");
    });
    attempt.result = result;
    attempt.run = null;
    logger.info(
      { ...logFields(attempt), outcome, exit_code: result.exitCode, signal: result.signal || undefined },
      "an attempt ended",
    );
    attempt.markFinished();
    this.#options.onAttemptsChanged();
    this.#tell.finished(attemptId);
  }

  /** A bug in here must not leave an attempt that never ends. */
  #inBackground(attempt: HeldAttempt, work: Promise<void>): void {
    work
      .catch((error: unknown) => {
        this.#options.logger.error(
          { ...logFields(attempt), err: error },
          "an attempt could not be followed to its end",
        );
        attempt.run?.end(0);
        return this.#finish(attempt, {
          outcome: "spawn_failed",
          exitCode: null,
          signal: "",
          sentence: "the agent failed to follow this attempt; see its log",
          cpuMs: null,
          endedAtMs: this.#options.ports.clock.now(),
        });
      })
      .catch((error: unknown) => {
        this.#options.logger.error({ ...logFields(attempt), err: error }, "an attempt's end could not be noted");
      });
  }
}

function whatWasLeft(count: number | null): string {
  if (count === null) return "a process had its number that could be anybody's, and was left alone";
  return count === 0 ? "none of its processes was left" : `${count} process(es) of it were ended`;
}

/** How a run ended by itself. */
function ownEnding(end: RunEnd): Ending {
  const sentence = end.leftBehind > 0 ? `${end.leftBehind} process(es) that it had left behind were ended` : "";
  return {
    outcome: end.exitCode === null ? "signaled" : "exited",
    exitCode: end.exitCode,
    signal: end.signal,
    sentence,
    cpuMs: end.cpuMs,
    endedAtMs: end.endedAtMs,
  };
}
