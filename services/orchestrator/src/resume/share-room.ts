/** How many tasks of each of several shapes are taken together, when there is not room for all of them: those that come first in the order of the queue. */

export interface Wish {
  /** Of the tasks that wait, the lowest first; as many at most are given. */
  readonly ranks: readonly number[];
  /** So many are given though there may be no room. */
  readonly owed: number;
  /** Takes room for one more; false: there is none, and there will be none. */
  readonly take: () => boolean;
  /** Whether there was room before anything was taken: where those before it are put elsewhere, it has some, and nobody behind it may have that. */
  readonly mayHaveRoom: () => boolean;
}

export interface Shared<W extends Wish> {
  /** Those that are given some. */
  readonly shares: readonly { readonly wish: W; readonly given: number }[];
  /** Nothing is given from this rank on, but what is owed; infinity: all have been looked at. */
  readonly endedAt: number;
}

/** `most`: of all together. */
export function shareRoom<W extends Wish>(wishes: readonly W[], most: number): Shared<W> {
  const shares = wishes.map((wish) => ({ wish, given: 0, isOver: false }));
  // Of equal ranks the earlier wish goes first: sorting is stable.
  const inOrder = shares
    .flatMap((share) => share.wish.ranks.map((rank) => ({ rank, share })))
    .sort((a, b) => a.rank - b.rank);
  let endedAt = Number.POSITIVE_INFINITY;
  let left = most;
  for (const { rank, share } of inOrder) {
    if (left === 0) return { shares: given(shares), endedAt: Math.min(endedAt, rank) };
    if (share.isOver) continue;
    const { owed, take, mayHaveRoom } = share.wish;
    const isEnded = rank >= endedAt;
    if ((!isEnded && take()) || share.given < owed) {
      share.given += 1;
      left -= 1;
      continue;
    }
    share.isOver = true;
    if (!isEnded && mayHaveRoom()) endedAt = rank;
  }
  return { shares: given(shares), endedAt };
}

const given = <S extends { readonly given: number }>(shares: readonly S[]): readonly S[] =>
  shares.filter((share) => share.given > 0);
