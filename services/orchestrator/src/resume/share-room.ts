/** How many tasks of each of several shapes are taken together, when there is not room for all of them: those that come first in the order of the queue. */

export interface Wish {
  /** Of the tasks that wait, the lowest first; as many at most are given. */
  readonly ranks: readonly number[];
  /** So many are given though there may be no room. */
  readonly owed: number;
  /** Takes room for one more; false: there is none, and there will be none. */
  readonly take: () => boolean;
}

export interface Share<W extends Wish> {
  readonly wish: W;
  readonly given: number;
}

/** Those that are given some; `most`: of all together. */
export function shareRoom<W extends Wish>(wishes: readonly W[], most: number): readonly Share<W>[] {
  const shares = wishes.map((wish) => ({ wish, given: 0, isOver: false }));
  // Of equal ranks the earlier wish goes first: sorting is stable.
  const inOrder = shares
    .flatMap((share) => share.wish.ranks.map((rank) => ({ rank, share })))
    .sort((a, b) => a.rank - b.rank);
  let left = most;
  for (const { share } of inOrder) {
    if (left === 0) break;
    if (share.isOver) continue;
    if (share.wish.take() || share.given < share.wish.owed) {
      share.given += 1;
      left -= 1;
    } else {
      share.isOver = true;
    }
  }
  return shares.filter(({ given }) => given > 0);
}
