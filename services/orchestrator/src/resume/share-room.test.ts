import { describe, expect, it } from "vitest";
import { shareRoom, type Wish } from "./share-room.ts";

/** Room for so many of all together. */
function begin(room: number, mayHaveRoom = false) {
  let left = room;
  const take = (): boolean => {
    if (left === 0) return false;
    left -= 1;
    return true;
  };
  return (ranks: readonly number[], owed = 0): Wish => ({ ranks, owed, take, mayHaveRoom: () => mayHaveRoom });
}

const givenTo = (wishes: readonly Wish[], most = 100): readonly number[] => {
  const given = new Map(shareRoom(wishes, most).shares.map((share) => [share.wish, share.given]));
  return wishes.map((wish) => given.get(wish) ?? 0);
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
    expect(givenTo([], 3)).toEqual([]);
    expect(shareRoom([wish([1, 4])], 1).endedAt).toBe(4);
  });

  it("ends with the first that may have room after all, but for what is owed", () => {
    const [small, large] = [begin(9), begin(0, true)];
    const wishes = [small([1, 3, 4]), large([2]), small([5, 6], 1)];
    expect(givenTo(wishes)).toEqual([1, 0, 1]);
    expect(shareRoom(wishes, 100).endedAt).toBe(2);
    expect(shareRoom([small([1])], 100).endedAt).toBe(Number.POSITIVE_INFINITY);
  });
});
