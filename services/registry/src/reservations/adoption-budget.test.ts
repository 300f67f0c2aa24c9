import { TOMBSTONE_MS } from "@headroom/scheduling";
import { expect, test } from "vitest";
import { AdoptionBudget, MAX_ADOPTED } from "./adoption-budget.ts";

const NOW_MS = 1_000_000;

test("an agent may be given so many rows at once or in parts, and as many again once their tombstones are gone", () => {
  const budget = new AdoptionBudget();
  expect(budget.allows("a", MAX_ADOPTED, NOW_MS)).toBe(true);
  expect(budget.allows("a", MAX_ADOPTED + 1, NOW_MS)).toBe(false);
  budget.adopted("a", MAX_ADOPTED - 10, NOW_MS);
  expect(budget.allows("a", 10, NOW_MS)).toBe(true);
  expect(budget.allows("a", 11, NOW_MS)).toBe(false);
  // Of another agent it says nothing.
  expect(budget.allows("b", MAX_ADOPTED, NOW_MS)).toBe(true);
  expect(budget.allows("a", MAX_ADOPTED / 2, NOW_MS + TOMBSTONE_MS / 2)).toBe(true);
  expect(budget.allows("a", MAX_ADOPTED, NOW_MS + TOMBSTONE_MS / 2)).toBe(false);
  expect(budget.allows("a", MAX_ADOPTED, NOW_MS + TOMBSTONE_MS)).toBe(true);
});

test("however an agent spreads them, within the life of a tombstone it is given no more than twice so many", () => {
  for (const [each, everyMs] of [
    [4_096, 100],
    [1, 10],
    [500, 20_000],
  ] as const) {
    const budget = new AdoptionBudget();
    const given: { readonly atMs: number; readonly count: number }[] = [];
    for (let atMs = 0; atMs < 3 * TOMBSTONE_MS; atMs += everyMs) {
      if (!budget.allows("a", each, atMs)) continue;
      budget.adopted("a", each, atMs);
      given.push({ atMs, count: each });
    }
    const within = (fromMs: number): number =>
      given.reduce((sum, { atMs, count }) => sum + (atMs >= fromMs && atMs < fromMs + TOMBSTONE_MS ? count : 0), 0);
    for (let fromMs = 0; fromMs < 2 * TOMBSTONE_MS; fromMs += TOMBSTONE_MS / 4) {
      expect(within(fromMs)).toBeLessThanOrEqual(2 * MAX_ADOPTED);
    }
  }
});

test("agents whose rows are long forgotten are not kept in mind", () => {
  const budget = new AdoptionBudget();
  for (let agent = 0; agent < 1_000; agent += 1) budget.adopted(`a${agent}`, 1, NOW_MS);
  expect(budget.agents).toBe(1_000);
  budget.adopted("b", 1, NOW_MS + TOMBSTONE_MS);
  expect(budget.agents).toBe(1);
});

test("a clock that is set back forgets nothing early", () => {
  const budget = new AdoptionBudget();
  budget.adopted("a", MAX_ADOPTED, NOW_MS);
  expect(budget.allows("a", 1, NOW_MS - 500_000)).toBe(false);
});
