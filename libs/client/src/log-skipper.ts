import type { wire } from "@headroom/contracts";

/** Leaves out what was passed on before, when a stream of output starts over from its beginning. */
export interface LogSkipper {
  /** The run that was read so far; a new stream must be of the same. */
  attemptId(): string | null;
  /** The piece, or null when it was passed on before. */
  accept(piece: wire.StreamTaskLogsResponse): wire.StreamTaskLogsResponse | null;
}

/** Pieces are numbered: of a long output the middle may be gone by the time the stream starts over, so a count of bytes would not do. */
export function createLogSkipper(): LogSkipper {
  let attemptId: string | null = null;
  let lastSeq = 0;
  return {
    attemptId: () => attemptId,
    accept(piece) {
      if (piece.attemptId !== "") attemptId ??= piece.attemptId;
      if (piece.seq <= lastSeq) return null;
      lastSeq = piece.seq;
      return piece;
    },
  };
}
