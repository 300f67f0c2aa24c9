/** The published test's order of arrival, and the seeded numbers behind it: a run is repeated by its seed. */

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A shuffled copy (Fisher and Yates). */
export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const copy = [...items];
  for (let index = copy.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    const [a, b] = [copy[index], copy[other]];
    if (a !== undefined && b !== undefined) [copy[index], copy[other]] = [b, a];
  }
  return copy;
}

/**
 * The tasks in random order, then clones of tasks chosen by chance, without end: whoever plays them stops when enough has
 * arrived. Nothing comes of an empty list.
 */
export function* arrivalOrder<Task>(tasks: readonly Task[], seed: number): Generator<Task> {
  const random = seededRandom(seed);
  yield* shuffled(tasks, random);
  while (tasks.length > 0) {
    const clone = tasks[Math.floor(random() * tasks.length)];
    if (clone !== undefined) yield clone;
  }
}
