/** The outcome of reading what a peer sent: a domain value, or the field that makes no sense. */

export interface InvalidWire {
  readonly kind: "invalid";
  /** Path as the .proto names it: `sample.cards[1].card_id`. */
  readonly field: string;
  /** What is wrong and how to write it right. */
  readonly description: string;
}

export type FromWire<T> = { readonly kind: "ok"; readonly value: T } | InvalidWire;

export function ok<T>(value: T): { readonly kind: "ok"; readonly value: T } {
  return { kind: "ok", value };
}

export function invalid(field: string, description: string): InvalidWire {
  return { kind: "invalid", field, description };
}

/** Reads each element; the first one that is invalid is the answer. */
export function readEach<In, Out>(
  items: readonly In[],
  path: string,
  read: (item: In, path: string) => FromWire<Out>,
): FromWire<readonly Out[]> {
  const values: Out[] = [];
  for (const [index, item] of items.entries()) {
    const one = read(item, `${path}[${index}]`);
    if (one.kind === "invalid") return one;
    values.push(one.value);
  }
  return ok(values);
}
