import { wire } from "@headroom/contracts";

/** Leaves out what was passed on before, when a stream of output starts over from its beginning. */
export interface LogSkipper {
  /** The stream begins anew. */
  restart(): void;
  /** The run that was read so far; a new stream must be of the same. */
  attemptId(): string | null;
  /** The new part of a piece; null when there is none. */
  accept(piece: wire.StreamTaskLogsResponse): wire.StreamTaskLogsResponse | null;
}

/** The stored output of a run only grows at its end, so the number of bytes seen is a place in it. */
export function createLogSkipper(): LogSkipper {
  let attemptId: string | null = null;
  /** By stream: bytes passed on in all, and bytes of the present stream still to leave out. */
  const passed = new Map<wire.OutputStream, number>();
  const toSkip = new Map<wire.OutputStream, number>();
  return {
    attemptId: () => attemptId,
    restart() {
      for (const [stream, bytes] of passed) toSkip.set(stream, bytes);
    },
    accept(piece) {
      if (piece.attemptId !== "") attemptId ??= piece.attemptId;
      const skip = Math.min(toSkip.get(piece.stream) ?? 0, piece.data.length);
      toSkip.set(piece.stream, (toSkip.get(piece.stream) ?? 0) - skip);
      if (skip === piece.data.length) return null;
      passed.set(piece.stream, (passed.get(piece.stream) ?? 0) + piece.data.length - skip);
      return skip === 0 ? piece : { ...piece, data: piece.data.subarray(skip) };
    },
  };
}
