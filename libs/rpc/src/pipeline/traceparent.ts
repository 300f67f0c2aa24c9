/** Version 00 of W3C Trace Context; ids of nothing but zeros are invalid by it. */
const wellFormed = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's trace context; null when there is none, or none that tools could read: a trace is never made up here. */
export function readTraceparent(given: string | undefined): string | null {
  return given !== undefined && wellFormed.test(given) ? given : null;
}
