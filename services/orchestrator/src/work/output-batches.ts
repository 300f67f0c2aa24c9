import type { wire } from "@headroom/contracts";

/** What an agent sends of one attempt before it waits for an answer, and pieces of that. */
const maxBatchBytes = 262_144;
const maxBatchPieces = 1_024;
/**
 * Of an attempt that waits for somebody's lock, pieces are left out from here on, of all that wait on the stream together: of 256, because an
 * agent waits for an answer after so much of each.
 */
const maxWaitingBytes = 256 * maxBatchBytes;
/** What a piece costs besides its data. */
const pieceBytes = 200;

export interface OutputBatch {
  readonly attemptId: string;
  readonly pieces: wire.AttemptOutput[];
  bytes: number;
}

/**
 * Pieces of output that came while the ones before them were being written: they are written together, in one
 * transaction, and are one message in work however many they are.
 */
export class OutputBatches {
  readonly #gathering = new Map<string, OutputBatch>();
  /** How many batches of each attempt wait or are being written, and their bytes. */
  readonly #inWork = new Map<string, { batches: number; bytes: number }>();
  readonly #leftOut = new Set<string>();

  /** A batch to be written after all that came before; null: the piece goes with one that waits already. */
  add(attemptId: string, piece: wire.AttemptOutput): OutputBatch | null {
    const bytes = piece.data.byteLength + pieceBytes;
    const inWork = this.#inWork.get(attemptId) ?? { batches: 0, bytes: 0 };
    this.#inWork.set(attemptId, inWork);
    inWork.bytes += bytes;
    const gathering = this.#gathering.get(attemptId);
    if (gathering !== undefined && gathering.bytes < maxBatchBytes && gathering.pieces.length < maxBatchPieces) {
      gathering.pieces.push(piece);
      gathering.bytes += bytes;
      return null;
    }
    const batch = { attemptId, pieces: [piece], bytes };
    this.#gathering.set(attemptId, batch);
    inWork.batches += 1;
    return batch;
  }

  /** No more goes with it: it is being written. */
  close(batch: OutputBatch): void {
    if (this.#gathering.get(batch.attemptId) === batch) this.#gathering.delete(batch.attemptId);
  }

  /** It is written. */
  end({ attemptId, bytes }: OutputBatch): void {
    const inWork = this.#inWork.get(attemptId);
    if (inWork === undefined) return;
    inWork.batches -= 1;
    inWork.bytes -= bytes;
    if (inWork.batches === 0) this.#inWork.delete(attemptId);
  }

  /**
   * Whether a piece of an attempt that waits for somebody's lock is left out, because too much waits already; so is all that follows of it
   * then. Its agent keeps what is not acknowledged, and sends it again on its next stream.
   */
  leavesOut(attemptId: string, waits: (attemptId: string) => boolean): boolean {
    let waitingBytes = 0;
    for (const [waiting, { bytes }] of this.#inWork) if (waits(waiting)) waitingBytes += bytes;
    if (waitingBytes >= maxWaitingBytes && this.#inWork.has(attemptId)) this.#leftOut.add(attemptId);
    return this.hasLeftOut(attemptId);
  }

  hasLeftOut(attemptId: string): boolean {
    return this.#leftOut.has(attemptId);
  }
}
