import { sleep } from "@headroom/runtime";
import type { AssignedWork, AttemptResult, Ending } from "../attempt.ts";
import type { RunEnd, RunExit } from "../runner/runner.ts";
import { logFields, type EndCause, type HeldAttempt } from "./held-attempt.ts";
import { judgeLease, sleepLease } from "./lease.ts";
import type { SupervisorListener, SupervisorOptions } from "./supervisor-options.ts";

/** The contract's bound on AttemptFinished.sentence. */
const maxSentenceLength = 2_048;
const leftoverGraceMs = 10_000;
/**
 * What has the number of a leftover and cannot be told from a stranger is most likely the leftover: it counts as running until it is gone. A
 * stranger that has the number by chance holds the attempt no longer than this.
 */
const untoldLimitMs = 3_600_000;
const untoldLookEveryMs = 5_000;
/** So long nothing is taken after the machine could start nothing. Orchestrators leave it alone for as long. */
const unfitMs = 30_000;

/** Takes an accepted attempt from its start to the moment at which its result stands in the journal. */
export class AttemptLife {
  readonly #options: SupervisorOptions;
  readonly #tell: Omit<SupervisorListener, "output">;
  /** Those that are being started: ended before they have a process, they wait for no folder. */
  readonly #starting = new Map<HeldAttempt, AbortController>();
  /** What an earlier program left; each settles when its result stands in the journal, or when it is left to the next program. */
  readonly #leftovers = new Map<HeldAttempt, Promise<void>>();
  /** Aborts when nothing is waited for any more that cannot be told from a stranger. */
  readonly #stopping = new AbortController();
  #leavesLeftovers = false;
  /** The machine is about to sleep: what starts all the same is stopped at once, like what runs. */
  isAsleep = false;
  #unfitFromMs = Number.NEGATIVE_INFINITY;

  constructor(options: SupervisorOptions, tell: Omit<SupervisorListener, "output">) {
    this.#options = options;
    this.#tell = tell;
  }

  /** The machine could start nothing a moment ago, and whatever was given to it now would fail the same way; or its end could not be told. */
  get isUnfit(): boolean {
    if (this.#options.runner.isBlind?.() === true) return true;
    return this.#options.ports.clock.monotonic() - this.#unfitFromMs < unfitMs;
  }

  /** Runs the attempt, in the background. */
  begin(attempt: HeldAttempt, work: AssignedWork): void {
    void this.#inBackground(attempt, this.#run(attempt, work));
  }

  /** Ends what an earlier agent program left running, in the background. */
  endLeftover(attempt: HeldAttempt): void {
    this.#leftovers.set(attempt, this.#inBackground(attempt, this.#endLeftover(attempt)));
  }

  /**
   * What an earlier program left is waited for no longer where it cannot be told from a stranger, for nobody knows how long; with `leavesAll`
   * nothing more is written down of any: the journal keeps it for the next program.
   */
  stopLeftovers(leavesAll: boolean): void {
    this.#leavesLeftovers ||= leavesAll;
    this.#options.runner.stopping?.();
    this.#stopping.abort();
  }

  /** Resolves when the attempt needs no more waiting for before a stop. */
  async whenOver(attempt: HeldAttempt): Promise<void> {
    const leftover = this.#leftovers.get(attempt);
    if (leftover === undefined) return attempt.finished;
    if (!this.#leavesLeftovers) await leftover;
  }

  /** Ends an attempt before it ends by itself. The first cause counts; of several graces the shortest. */
  end(attempt: HeldAttempt, outcome: EndCause, sentence: string, graceMs: number): void {
    if (attempt.result !== null) return;
    // What has ended by itself has its own outcome; only what it left behind is still being ended.
    if (attempt.run?.hasExited() === true) return attempt.run.end(graceMs);
    if (attempt.exit !== null) return;
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
        () => this.#mayStartNow(attempt),
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
    if (this.isAsleep && run.isFreezable !== false) {
      attempt.lease = sleepLease(attempt.lease);
      run.freeze();
    }
    this.#endIfAsked(attempt);
    logger.info({ ...logFields(attempt), pid: run.pid }, "started an attempt");
    // Before the note of it: on a disk that hangs that never ends.
    this.#limitTime(attempt, work.runTimeoutMs);
    await this.#noteStart(attempt);
    void run.exited.then((exit) => this.#noteExit(attempt, exit));
    this.#tell.started(attemptId);
    await this.#finish(attempt, ownEnding(await run.ended));
  }

  /** Leases of what runs are judged by the supervisor; until it runs, here. */
  #mayStart(attempt: HeldAttempt): boolean {
    if (judgeLease(attempt.lease, this.#options.ports.clock.monotonic(), false) === "end")
      this.end(attempt, "lease_expired", "its lease ended without a renewal from the orchestrator", leftoverGraceMs);
    return attempt.endCause === null;
  }

  /** Asked right before there is a process. What runs goes on under the owner's hold, and what only waits for its folder does not run yet. */
  async #mayStartNow(attempt: HeldAttempt): Promise<boolean> {
    await this.#options.lookForHold?.();
    if (this.#options.isHeldByOwner()) this.end(attempt, "evicted", "the owner keeps new work away", leftoverGraceMs);
    return this.#mayStart(attempt);
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

  /** What it left behind may take minutes to be gone, and this program may not live as long. Never rejects. */
  async #noteExit(attempt: HeldAttempt, exit: RunExit): Promise<void> {
    const { attemptId, fence, run, endCause } = attempt;
    if (run === null) return;
    const { pid, startToken, startedAtMs: atMs } = run;
    const ending = withCause(ownEnding({ ...exit, leftBehind: 0 }), endCause);
    await this.#options.journal
      .append({ kind: "started", attemptId, fence, pid, startToken, atMs, exit: ending })
      .catch((error: unknown) => {
        this.#options.logger.error({ ...logFields(attempt), err: error }, "the journal could not note an exit");
      });
  }

  #limitTime(attempt: HeldAttempt, limitMs: number | null): void {
    if (limitMs === null) return;
    attempt.timeout = this.#options.ports.timers.after(limitMs, () => {
      this.end(attempt, "timed_out", `it ran longer than its run_timeout of ${limitMs / 1_000} s`, leftoverGraceMs);
    });
  }

  async #endLeftover(attempt: HeldAttempt): Promise<void> {
    const { ports } = this.#options;
    const count = await this.#untilTold(attempt);
    if (count === "left" || this.#leavesLeftovers) return;
    const what = whatWasLeft(count);
    if (attempt.exit !== null) return this.#finish(attempt, exitedBefore(attempt.exit, what));
    await this.#finish(attempt, {
      outcome: "agent_restarted",
      exitCode: null,
      signal: "",
      sentence: `the agent program ended while this ran, and how far it came is unknown; when the agent came back, ${what}`,
      cpuMs: null,
      endedAtMs: ports.clock.now(),
    });
  }

  /** How many processes of a leftover were ended; null: one that may be its own has run on for too long; "left": this program stops before. */
  async #untilTold(attempt: HeldAttempt): Promise<number | null | "left"> {
    const { runner, ports, logger } = this.#options;
    const { attemptId, pid, leftoverToken: startToken, startedAtMs } = attempt;
    const fromMs = ports.clock.monotonic();
    for (let looks = 0; ; looks += 1) {
      const count = await runner.endLeftover({ attemptId, pid, startToken, startedAtMs }, leftoverGraceMs);
      if (count !== null || ports.clock.monotonic() - fromMs >= untoldLimitMs) return count;
      if (looks === 0)
        logger.warn(
          { ...logFields(attempt), pid },
          `a process has the number of one that an earlier agent program left, and cannot be told from a stranger: it is left alone, and the attempt counts as running until it is gone, ${untoldLimitMs / 60_000} minutes at most; end it if it is the task's`,
        );
      try {
        await sleep(ports.timers, untoldLookEveryMs, this.#stopping.signal);
      } catch {
        return "left";
      }
    }
  }

  /** What a program used that had ended before this one began is told of it, and is no use of the machine from now on. */
  #takeUse({ attemptId, exit }: HeldAttempt, cpuMs: number | null): AttemptResult["used"] {
    const { sampler } = this.#options;
    if (exit === null) return sampler.takeTotal(attemptId, cpuMs);
    const total = sampler.takeTotal(attemptId, null);
    return { ...total, cpuMs: Math.max(total.cpuMs, cpuMs ?? 0) };
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
    const { journal, logger } = this.#options;
    attempt.timeout?.cancel();
    await attempt.spool.flush();
    const { cpuMs, endedAtMs, ...how } = withCause(ending, attempt.endCause);
    const result: AttemptResult = {
      ...how,
      sentence: how.sentence.slice(0, maxSentenceLength),
      startedAtMs: attempt.startedAtMs,
      finishedAtMs: endedAtMs,
      used: this.#takeUse(attempt, cpuMs),
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
      {
        ...logFields(attempt),
        outcome: result.outcome,
        exit_code: result.exitCode,
        signal: result.signal || undefined,
      },
      "an attempt ended",
    );
    attempt.markFinished();
    this.#options.onAttemptsChanged();
    this.#tell.finished(attemptId);
  }

  /** A bug in here must not leave an attempt that never ends. */
  #inBackground(attempt: HeldAttempt, work: Promise<void>): Promise<void> {
    return work
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
  if (count === null)
    return "a process had its number that could be anybody's, and was left alone; it was still there an hour later";
  return count === 0 ? "none of its processes was found" : `${count} process(es) of it were ended`;
}

/** How it ended, where somebody may have wanted it ended. */
function withCause(ending: Ending, cause: HeldAttempt["endCause"]): Ending {
  const { outcome, sentence } = ending;
  if (cause === null || outcome === "spawn_failed" || outcome === "evicted" || outcome === "agent_restarted")
    return ending;
  return { ...ending, outcome: cause.outcome, sentence: joined(cause.sentence, sentence) };
}

function joined(...sentences: readonly string[]): string {
  return sentences.filter((sentence) => sentence !== "").join("; ");
}

/** Of an attempt whose program had ended before the earlier agent program did. */
function exitedBefore(exit: Ending, whatWasLeftOfIt: string): Ending {
  const sentence = `the agent program ended after this had, and before all of it was known to be gone: the end of its output may be missing; when the agent came back, ${whatWasLeftOfIt}`;
  return { ...exit, sentence: joined(exit.sentence, sentence) };
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
