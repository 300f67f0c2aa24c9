const msOfUnit: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "500ms", "90s", "1.5h", "1h30m", "2d" in milliseconds; null for anything else, a bare number included. */
export function parseDuration(text: string): number | null {
  const compact = text.trim();
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d)\s*)+$/.test(compact)) return null;
  let sumMs = 0;
  for (const [, number, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    sumMs += Number(number) * (msOfUnit[unit ?? ""] ?? 0);
  }
  return Number.isSafeInteger(Math.round(sumMs)) ? Math.round(sumMs) : null;
}

/** How a duration is written, for messages. */
export const durationExample = "90s, 5m, 2h or 1h30m";
