import { describe, expect, it } from "vitest";
import { shareRoom, type Wish } from "./share-room.ts";

/** Room for so many of all together. */
function begin(room: number) {
  let left = room;
  const take = (): boolean => {
    if (left === 0) return false;
    left -= 1;
    return true;
  };
  return (ranks: readonly number[], owed = 0): Wish => ({ ranks, owed, take });
}

const givenTo = (wishes: readonly Wish[], most = 100): readonly number[] => {
  const shares = new Map(shareRoom(wishes, most).map(({ wish, given }) => [wish, given]));
  return wishes.map((wish) => shares.get(wish) ?? 0);
};

describe("sharing room", () => {
  it("gives it to the lowest ranks of all, and of equal ones to the first", () => {
    const wish = begin(4);
    expect(givenTo([wish([3, 4, 5]), wish([1, 3, 9]), wish([6])])).toEqual([2, 2, 0]);
    expect(givenTo([begin(1)([2]), begin(0)([1])])).toEqual([1, 0]);
  });

  it("gives what is owed though there is no room, and no more of it", () => {
    const wish = begin(1);
    expect(givenTo([wish([1, 4]), wish([2, 3], 1), wish([5, 6], 1)])).toEqual([1, 1, 1]);
  });

  it("gives no more than may be given together", () => {
    const wish = begin(9);
    expect(givenTo([wish([1, 4, 5]), wish([2, 3], 1)], 3)).toEqual([1, 2]);
    expect(givenTo([])).toEqual([]);
  });
});
