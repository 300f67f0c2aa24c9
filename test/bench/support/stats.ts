/** Medians and percentiles of what was measured. */

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** By nearest rank; NaN without values. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** Enough digits to compare, few enough to read. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
