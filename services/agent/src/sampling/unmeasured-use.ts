/** An attempt whose use of one dimension cannot be measured. */
export interface Unmeasured {
  readonly attemptId: string;
  readonly reserved: number;
  /** What was available when it began. */
  readonly availableAtStart: number;
}

/**
 * DESIGN 3: use that cannot be measured counts as min(reserved, rise since the attempt started). Several that run at once share
 * one rise: `unexplained` (total - available - what was measured) is given out once, in the order of the list.
 */
export function unmeasuredUse(
  attempts: readonly Unmeasured[],
  available: number,
  unexplained: number,
): ReadonlyMap<string, number> {
  const use = new Map<string, number>();
  let left = Math.max(0, unexplained);
  for (const { attemptId, reserved, availableAtStart } of attempts) {
    const share = Math.max(0, Math.min(reserved, availableAtStart - available, left));
    use.set(attemptId, share);
    left -= share;
  }
  return use;
}
