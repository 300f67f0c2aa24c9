/** What a run comes to. */
import type { World } from "./world.ts";

/** Something that must not be. */
export interface Finding {
  readonly phase: string;
  readonly what: string;
  /** How to do it again: fast-check's seed and path, and the smallest case. */
  readonly again?: string;
}

export class Tally {
  readonly findings: Finding[] = [];
  readonly cases: Record<string, number> = {};
  readonly answers: Record<string, number> = {};
  readonly maxRssGrowthMib: Record<string, number> = {};
  readonly peakRssMib: Record<string, number> = {};
  readonly worstDelayMs: Record<string, number> = {};
  connections = 0;

  case(kind: string, times = 1): void {
    this.cases[kind] = (this.cases[kind] ?? 0) + times;
  }

  answer(code: string, times = 1): void {
    this.answers[code] = (this.answers[code] ?? 0) + times;
  }

  find(phase: string, what: string, again?: string): void {
    this.findings.push({ phase, what, ...(again !== undefined && { again }) });
  }

  get caseCount(): number {
    return Object.values(this.cases).reduce((sum, count) => sum + count, 0);
  }
}

/** One part of a run. `ends` tells when it should come to its end. */
export type Phase = (run: PhaseRun) => Promise<void>;

export interface PhaseRun {
  readonly world: World;
  readonly tally: Tally;
  readonly seed: number;
  /** Scales how much is done: 1 is about half a minute. */
  readonly effort: number;
}
