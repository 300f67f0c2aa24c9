/** Index of the first item whose key an earlier item has; null when all differ. */
export function firstRepeated<T>(items: readonly T[], keyOf: (item: T) => string): number | null {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    if (seen.has(key)) return index;
    seen.add(key);
  }
  return null;
}
