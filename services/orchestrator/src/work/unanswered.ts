import { resendMs } from "./resending.ts";

/** An agent hears what it is given, and says nothing of it. */
export interface Silence {
  readonly attemptId: string;
  /** Since it was first sent. */
  readonly forMs: number;
  /** It has not been told yet. */
  readonly isNew: boolean;
}

interface Sent {
  readonly firstMs: number;
  /** Null: once so far. */
  againMs: number | null;
}

/** What was sent on one work stream and its agent has said nothing of: an agent answers each assignment, with yes or no. */
export class Unanswered {
  readonly #most: number;
  readonly #sent = new Map<string, Sent>();
  /** When its silence was last told; null: it answers. */
  #toldMs: number | null = null;

  constructor(most: number) {
    this.#most = most;
  }

  sent(attemptId: string, nowMs: number): void {
    const before = this.#sent.get(attemptId);
    if (before !== undefined) before.againMs ??= nowMs;
    else if (this.#sent.size < this.#most) this.#sent.set(attemptId, { firstMs: nowMs, againMs: null });
  }

  /** Whatever it says of an attempt. */
  heard(attemptId: string): void {
    this.#sent.delete(attemptId);
  }

  /**
   * Silence begins when what was sent twice is not answered for `resendMs`: a process that stood still in between has read by then what came
   * meanwhile. Null: it answers, or its silence was told less than `resendMs` ago.
   */
  takeSilence(nowMs: number): Silence | null {
    const isOver = ({ againMs }: Sent): boolean => againMs !== null && nowMs - againMs >= resendMs;
    const first = [...this.#sent].find(([, sent]) => isOver(sent));
    if (first === undefined) {
      this.#toldMs = null;
      return null;
    }
    if (this.#toldMs !== null && nowMs - this.#toldMs < resendMs) return null;
    const isNew = this.#toldMs === null;
    this.#toldMs = nowMs;
    const [attemptId, { firstMs }] = first;
    return { attemptId, forMs: nowMs - firstMs, isNew };
  }
}
