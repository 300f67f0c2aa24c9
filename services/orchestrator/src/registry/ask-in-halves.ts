/**
 * Asks for many at once. When that is refused, what is wrong with one must not hold the others: they are asked for in halves, the first ones
 * first, until those are found that are refused by themselves.
 */
import { isAway } from "./refusal.ts";

export interface AskedInHalves<Item, Answer> {
  readonly answers: readonly { readonly items: readonly Item[]; readonly answer: Answer }[];
  /** Refused by itself. */
  readonly refused: readonly { readonly item: Item; readonly error: unknown }[];
  /** The registry is away, or it took too many calls; null: all were asked for. */
  readonly unasked: { readonly items: readonly Item[]; readonly error: unknown } | null;
}

/** `maxAsks`: calls at most. */
export async function askInHalves<Item, Answer>(
  items: readonly Item[],
  ask: (batch: readonly Item[]) => Promise<Answer>,
  maxAsks: number,
): Promise<AskedInHalves<Item, Answer>> {
  const answers: { readonly items: readonly Item[]; readonly answer: Answer }[] = [];
  const refused: { readonly item: Item; readonly error: unknown }[] = [];
  const left: (readonly Item[])[] = items.length === 0 ? [] : [items];
  for (let asks = 1; ; asks += 1) {
    const batch = left.pop();
    if (batch === undefined) return { answers, refused, unasked: null };
    try {
      answers.push({ items: batch, answer: await ask(batch) });
    } catch (error) {
      if (isAway(error) || asks === maxAsks) {
        return { answers, refused, unasked: { items: [batch, ...left.toReversed()].flat(), error } };
      }
      const half = Math.ceil(batch.length / 2);
      if (batch.length > 1) left.push(batch.slice(half), batch.slice(0, half));
      else refused.push(...batch.map((item) => ({ item, error })));
    }
  }
}
