import { wire } from "@headroom/contracts";
import { Outage, type Logger, type Ports, type Timer } from "@headroom/runtime";
import { OutputSender } from "./output-sender.ts";
import type { Supervisor } from "./supervisor.ts";
import { logFields, type HeldAttempt } from "./held-attempt.ts";
import { toWireFinished, toWireFinishedInShort, toWireOutput } from "./to-wire.ts";

type Message = NonNullable<wire.AttachRequest["message"]>;

export interface ResultSenderOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly supervisor: Supervisor;
  send(message: Message): boolean;
}

interface Outgoing {
  readonly output: OutputSender;
  /** When the result was sent last over this stream, monotonic. */
  resultSentAtMs: number | null;
  overdue: Timer | null;
  /** Set once its output could not be read. */
  unreadable: Outage | null;
}

/** A result waits this long for the output before it: room is given back with the result, and output can be long. */
const outputFirstMs = 2_000;
/** An acknowledgement that does not come is asked for again. */
const remindAfterMs = 30_000;

const readingWords = {
  fails: "stored output of a task cannot be read; trying on",
  works: "stored output of a task can be read again",
};

/** Sends output and results over one stream, in an order in which the service knows all output before the result. */
export class ResultSender {
  readonly #options: ResultSenderOptions;
  readonly #outgoing = new Map<string, Outgoing>();
  #isClosed = false;

  constructor(options: ResultSenderOptions) {
    this.#options = options;
  }

  /** Takes an attempt up: whatever of its output and result is not acknowledged is sent. */
  begin(attemptId: string): void {
    this.output(attemptId);
    if (this.#options.supervisor.get(attemptId)?.result !== null) this.finished(attemptId);
  }

  output(attemptId: string): void {
    const outgoing = this.#of(attemptId);
    if (outgoing !== null) this.#pump(attemptId, outgoing.output.pump());
  }

  /** The attempt has ended, or its end is to be told again. */
  finished(attemptId: string): void {
    const outgoing = this.#of(attemptId);
    if (outgoing === null) return;
    outgoing.resultSentAtMs = null;
    outgoing.overdue?.cancel();
    // Of most short tasks all output was sent, or there was none.
    if (this.#sendResult(attemptId, outgoing, false)) return;
    outgoing.overdue = this.#options.ports.timers.after(outputFirstMs, () =>
      this.#sendResult(attemptId, outgoing, true),
    );
    this.#pump(attemptId, outgoing.output.pump());
  }

  outputAcked(attemptId: string, seq: number): void {
    const outgoing = this.#outgoing.get(attemptId);
    if (outgoing === undefined) return;
    this.#pump(attemptId, outgoing.output.acked(seq));
    this.#dropIfDone(attemptId, outgoing);
  }

  /** The transport has room again. */
  resume(): void {
    for (const [attemptId, outgoing] of this.#outgoing) this.#pump(attemptId, outgoing.output.resume());
  }

  /** Sends results again whose acknowledgement is long due, and tries again what could not be read. */
  remind(): void {
    const nowMs = this.#options.ports.clock.monotonic();
    for (const [attemptId, outgoing] of this.#outgoing) {
      const { resultSentAtMs } = outgoing;
      if (resultSentAtMs !== null && nowMs - resultSentAtMs >= remindAfterMs)
        this.#sendResult(attemptId, outgoing, true);
      this.#pump(attemptId, outgoing.output.pump());
      this.#dropIfDone(attemptId, outgoing);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const outgoing of this.#outgoing.values()) {
      outgoing.overdue?.cancel();
      outgoing.output.close();
    }
    this.#outgoing.clear();
  }

  #of(attemptId: string): Outgoing | null {
    const known = this.#outgoing.get(attemptId);
    if (known !== undefined) return known;
    const kept = this.#options.supervisor.outputOf(attemptId);
    if (kept === undefined || this.#isClosed) return null;
    const outgoing: Outgoing = {
      output: new OutputSender(kept.spool, {
        send: (piece) => {
          outgoing.unreadable?.worked();
          // Read anew: a higher one may have come since the last piece.
          return this.#options.send({ $case: "output", value: toWireOutput(attemptId, kept.fence, piece) });
        },
        onSentAll: () => void this.#sendResult(attemptId, outgoing, false),
      }),
      resultSentAtMs: null,
      overdue: null,
      unreadable: null,
    };
    this.#outgoing.set(attemptId, outgoing);
    return outgoing;
  }

  /** Whether it was sent. */
  #sendResult(attemptId: string, outgoing: Outgoing, evenBeforeOutput: boolean): boolean {
    const attempt = this.#options.supervisor.get(attemptId);
    if (this.#isClosed || attempt?.result === undefined || attempt.result === null) return false;
    if (outgoing.resultSentAtMs !== null && !evenBeforeOutput) return false;
    const allSent = outgoing.output.sentSeq >= attempt.result.lastOutputSeq || attempt.spool.isDelivered;
    if (!allSent && !evenBeforeOutput) return false;
    const finished = this.#sendable(attempt);
    if (finished === null) return false;
    outgoing.overdue?.cancel();
    outgoing.resultSentAtMs = this.#options.ports.clock.monotonic();
    this.#options.send({ $case: "finished", value: finished });
    return true;
  }

  /** What cannot be encoded fails its stream, and is sent first over the next one: no result would come through any more. */
  #sendable(attempt: HeldAttempt): wire.AttemptFinished | null {
    const { ports, logger } = this.#options;
    try {
      const finished = toWireFinished(attempt);
      if (finished !== null) wire.AttemptFinished.encode(finished);
      return finished;
    } catch (error) {
      logger.error(
        { ...logFields(attempt), err: error, result: attempt.result },
        "a result cannot be sent as it is; the orchestrator is told how the attempt ended, and no more",
      );
      return toWireFinishedInShort(attempt, ports.clock.now());
    }
  }

  #dropIfDone(attemptId: string, outgoing: Outgoing): void {
    if (this.#options.supervisor.outputOf(attemptId) !== undefined) return;
    outgoing.overdue?.cancel();
    outgoing.output.close();
    this.#outgoing.delete(attemptId);
  }

  #pump(attemptId: string, pumped: Promise<void>): void {
    pumped.catch((error: unknown) => {
      const outgoing = this.#outgoing.get(attemptId);
      if (outgoing === undefined) return;
      outgoing.unreadable ??= new Outage(this.#options.logger.child({ attempt_id: attemptId }), readingWords);
      outgoing.unreadable.failed(error);
      // It does not wait for what may take a minute.
      if (outgoing.resultSentAtMs === null) this.#sendResult(attemptId, outgoing, true);
    });
  }
}
