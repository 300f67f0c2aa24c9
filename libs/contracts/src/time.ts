/** Time on the wire (Timestamp, Duration) and inside (epoch milliseconds, milliseconds). */
import { Duration } from "./gen/google/protobuf/duration.ts";
import { Timestamp } from "./gen/google/protobuf/timestamp.ts";

const NANOS_PER_MS = 1_000_000;

/** The Timestamp of an instant. Fractions of a millisecond are dropped. Throws RangeError unless finite. */
export function timestampFromMs(epochMs: number): Timestamp {
  const { seconds, nanos } = split(Math.floor(requireFinite(epochMs)));
  return Timestamp.fromPartial({ seconds, nanos });
}

/** Like timestampFromMs, absent for null. */
export function timestampFromMsOrNull(epochMs: number | null): Timestamp | undefined {
  return epochMs === null ? undefined : timestampFromMs(epochMs);
}

/** The instant in epoch milliseconds, rounded down; null when absent. */
export function msFromTimestamp(timestamp: Timestamp | undefined): number | null {
  return timestamp === undefined ? null : join(timestamp);
}

/** The Duration of a time span. Fractions of a millisecond are dropped. Throws RangeError unless finite. */
export function durationFromMs(spanMs: number): Duration {
  const wholeMs = Math.trunc(requireFinite(spanMs));
  // Both parts of a Duration carry its sign.
  const { seconds, nanos } = split(Math.abs(wholeMs));
  return wholeMs < 0
    ? Duration.fromPartial({ seconds: 0 - seconds, nanos: 0 - nanos })
    : Duration.fromPartial({ seconds, nanos });
}

/** Like durationFromMs, absent for null. */
export function durationFromMsOrNull(spanMs: number | null): Duration | undefined {
  return spanMs === null ? undefined : durationFromMs(spanMs);
}

/** The span in milliseconds, rounded down; null when absent. */
export function msFromDuration(duration: Duration | undefined): number | null {
  return duration === undefined ? null : join(duration);
}

function split(wholeMs: number): { readonly seconds: number; readonly nanos: number } {
  const seconds = Math.floor(wholeMs / 1000);
  return { seconds, nanos: (wholeMs - seconds * 1000) * NANOS_PER_MS };
}

function join(parts: { readonly seconds: number; readonly nanos: number }): number {
  return parts.seconds * 1000 + Math.floor(parts.nanos / NANOS_PER_MS);
}

function requireFinite(value: number): number {
  if (!Number.isFinite(value)) throw new RangeError(`${value} is no time`);
  return value;
}
