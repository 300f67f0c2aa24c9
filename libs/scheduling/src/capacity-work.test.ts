import { expect, test } from "vitest";
import { freeCapacity } from "./capacity.ts";
import { card, held, sample, use } from "./fixtures.test-helper.ts";
import type { CardAmount } from "./resources.ts";

test("DESIGN-3: what the attempts have of the cards is gone through once, and not once for each card", () => {
  let reads = 0;
  const amountOn = (index: number): CardAmount => ({
    get cardId() {
      reads += 1;
      return `card-${index}`;
    },
    vramMib: 1,
    exclusive: false,
  });
  const onAll = (): readonly CardAmount[] => Array.from({ length: 64 }, (_, index) => amountOn(index));
  const ids = Array.from({ length: 64 }, (_, number) => `attempt-${number}`);
  const cards = Array.from({ length: 64 }, (_, index) => card(index));
  const attempts = ids.map((attemptId) => use(attemptId, { cards: onAll() }));
  const reservations = ids.map((attemptId) => held(attemptId, { cards: onAll() }));
  const room = freeCapacity(sample({ cards, attempts }), reservations);
  expect(room.cards.map((one) => one.held)).toEqual(cards.map(() => ids.length));
  // For the memory, for the card, and to count it.
  expect(reads).toBeLessThanOrEqual(3 * 2 * ids.length * cards.length);
});
