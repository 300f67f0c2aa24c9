import { systemClock } from "@headroom/runtime";

/**
 * grpc-js counts deadlines in epoch milliseconds of the machine's own clock, whatever clock the process is given: by another one a
 * call would be late at once, or never.
 */
export function grpcDeadlineIn(ms: number): number {
  return systemClock.now() + ms;
}

/** How long until a deadline of grpc-js, 0 once it has passed; null: there is none (grpc-js says Infinity). */
export function grpcDeadlineLeftMs(deadline: Date | number): number | null {
  const atMs = typeof deadline === "number" ? deadline : deadline.getTime();
  return Number.isFinite(atMs) ? Math.max(0, atMs - systemClock.now()) : null;
}
