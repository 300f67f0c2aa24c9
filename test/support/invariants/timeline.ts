/** Small tools to walk through a history. */

export function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** Neighbours: [1, 2, 3] gives [1, 2], [2, 3]. */
export function pairs<T>(items: readonly T[]): readonly (readonly [T, T])[] {
  return items.slice(1).map((item, index) => [items[index]!, item] as const);
}

/** Changes that became visible together, in order. */
export function byCommit<T extends { readonly commit: string }>(changes: readonly T[]): readonly (readonly T[])[] {
  const commits: T[][] = [];
  for (const change of changes) {
    const last = commits.at(-1);
    if (last?.[0]?.commit === change.commit) last.push(change);
    else commits.push([change]);
  }
  return commits;
}

/** Neighbours that are equal, once. */
export function withoutRepeats(words: readonly string[]): readonly string[] {
  return words.filter((word, index) => word !== words[index - 1]);
}

/** Whether `part` is what remains of `whole` when some of it is left out. */
export function isSubsequence(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const word of whole) if (word === part[at]) at += 1;
  return at === part.length;
}
