/** What every bench answers, and what it is given. */

export interface BenchOptions {
  readonly quick: boolean;
  /** How often each side is measured, its median counts; null: as often as the bench thinks right. */
  readonly runs: number | null;
}

export interface BenchResult {
  readonly bench: string;
  /** value / limit. */
  readonly ratio: number;
  readonly value: number;
  /** What value is held against, taken in the same run. */
  readonly limit: number;
  readonly unit: string;
  /** What issue and design ask for, in words. */
  readonly target: string;
  readonly reached: boolean;
  readonly [detail: string]: unknown;
}

export type Bench = (options: BenchOptions) => Promise<BenchResult>;

export function progress(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
