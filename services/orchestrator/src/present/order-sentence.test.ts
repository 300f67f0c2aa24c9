import { expect, it } from "vitest";
import { orderSentence } from "./order-sentence.ts";

it.each([
  [0, 0, ""],
  [3, 0, "3 tasks of higher priority wait before it."],
  [1, 0, "1 task of higher priority waits before it."],
  [0, 1, "1 task that has waited longer waits before it."],
  [2, 5, "2 tasks of higher priority and 5 that have waited longer wait before it."],
  [100, 7, "at least 100 tasks of higher priority and 7 that have waited longer wait before it."],
])("%i of higher priority and %i that have waited longer", (higherPriority, samePriority, sentence) => {
  expect(orderSentence({ higherPriority, samePriority }, 100)).toBe(sentence);
});
