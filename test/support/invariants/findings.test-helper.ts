import { findViolations } from "./check.ts";
import type { Change, Facts, Invariant } from "./facts.ts";
import { soundHistory } from "./sound-history.test-helper.ts";

export const sound = soundHistory();

/** What is found in the sound history where some of its facts are others. */
export const found = (facts: Partial<Facts>): readonly Invariant[] => [
  ...new Set(findViolations({ ...sound, ...facts }, { waitBoundMs: 500 }).map(({ invariant }) => invariant)),
];

export const isPromise = (id: string, state: string) => (change: Change) =>
  change.row === "reservation" && change.attemptId === id && change.state === state;
