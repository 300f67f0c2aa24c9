import type { wire } from "@headroom/contracts";

/**
 * Pieces of output that came while the ones before them were being written: they are written together, in one
 * transaction. Bounded by what one stream may have in work.
 */
export class OutputBatches {
  readonly #waiting = new Map<string, wire.AttemptOutput[]>();

  add(piece: wire.AttemptOutput): void {
    const waiting = this.#waiting.get(piece.attemptId);
    if (waiting === undefined) this.#waiting.set(piece.attemptId, [piece]);
    else waiting.push(piece);
  }

  /** All that waits of one attempt, in order; empty when an earlier batch took it along. */
  take(attemptId: string): readonly wire.AttemptOutput[] {
    const waiting = this.#waiting.get(attemptId) ?? [];
    this.#waiting.delete(attemptId);
    return waiting;
  }
}
