import { expect, it } from "vitest";
import { Unanswered } from "./unanswered.ts";

it("silence begins ten seconds after what is not answered was sent again, is told each ten seconds, and ends with any word", () => {
  const unanswered = new Unanswered(10);
  unanswered.sent("a", 0);
  expect(unanswered.takeSilence(19_000)).toBeNull();
  unanswered.sent("a", 20_000);
  expect(unanswered.takeSilence(29_999)).toBeNull();
  unanswered.sent("a", 30_000);
  expect(unanswered.takeSilence(30_000)).toEqual({ attemptId: "a", forMs: 30_000, isNew: true });
  expect(unanswered.takeSilence(39_999)).toBeNull();
  expect(unanswered.takeSilence(40_000)).toEqual({ attemptId: "a", forMs: 40_000, isNew: false });
  unanswered.heard("a");
  expect(unanswered.takeSilence(60_000)).toBeNull();
});

it("an agent that answers one assignment is silent still about another; a new silence is new", () => {
  const unanswered = new Unanswered(10);
  for (const atMs of [0, 10_000]) {
    unanswered.sent("a", atMs);
    unanswered.sent("b", atMs);
  }
  unanswered.heard("a");
  expect(unanswered.takeSilence(20_000)).toMatchObject({ attemptId: "b", isNew: true });
  unanswered.heard("b");
  expect(unanswered.takeSilence(21_000)).toBeNull();
  unanswered.sent("c", 30_000);
  unanswered.sent("c", 40_000);
  expect(unanswered.takeSilence(50_000)).toMatchObject({ attemptId: "c", forMs: 20_000, isNew: true });
});

it("remembers no more than it may", () => {
  const unanswered = new Unanswered(1);
  for (const atMs of [0, 10_000]) for (const attemptId of ["a", "b"]) unanswered.sent(attemptId, atMs);
  unanswered.heard("a");
  expect(unanswered.takeSilence(60_000)).toBeNull();
});
