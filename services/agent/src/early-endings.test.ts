import { captureLogger } from "@headroom/testing";
import { expect, it } from "vitest";
import { EarlyEndings } from "./early-endings.ts";
import type { AgentHome } from "./home.ts";
import type { Leftover, ProcessRunner } from "./runner/runner.ts";

const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
const leftover = (attemptId: string): Leftover => ({ attemptId, pid: 42, startToken: "boot 1", startedAtMs: null });

function setUp(leftovers: () => Promise<readonly Leftover[] | null>) {
  const ended: string[] = [];
  const answers: ((count: number | Error) => void)[] = [];
  const stopped: string[] = [];
  const runner: ProcessRunner = {
    stopping: () => void stopped.push("early"),
    start: () => Promise.resolve({ kind: "withheld" }),
    endLeftover({ attemptId }) {
      ended.push(attemptId);
      return new Promise((resolve, reject) => {
        answers.push((count) => (typeof count === "number" ? resolve(count) : reject(count)));
      });
    },
  };
  const home: AgentHome = {
    open: () => Promise.reject(full),
    close: () => Promise.resolve(),
    leftovers,
  };
  const logger = captureLogger();
  const endings = new EarlyEndings();
  return {
    ended,
    stopped,
    answers,
    runner,
    endings,
    logger,
    fail: (error: unknown) => endings.afterFailedStart(error, { home, runner, logger }),
  };
}

it("each is ended once however often the start fails, and the start that succeeds joins that", async () => {
  const { ended, answers, runner, endings, fail } = setUp(() => Promise.resolve([leftover("a")]));
  await fail(full);
  await fail(full);
  expect(ended).toEqual(["a"]);
  const joined = endings.joinedBy(runner);
  const count = joined.endLeftover(leftover("a"), 0);
  answers[0]?.(3);
  expect(await count).toBe(3);
  void joined.endLeftover(leftover("b"), 0);
  expect(ended).toEqual(["a", "b"]);
});

it("what fills the disk may be what earlier programs left: it is removed once, but what the leftovers may be in", async () => {
  const { runner, endings, fail } = setUp(() => Promise.resolve([leftover("a")]));
  const removed: string[][] = [];
  runner.removeLeft = (but) => void removed.push([...but]);
  await fail(full);
  await fail(full);
  endings.joinedBy(runner).removeLeft?.(new Set());
  expect(removed).toEqual([["a"]]);
});

it("what another agent has is left alone, and what it leaves is removed later", async () => {
  let isTaken = true;
  const { runner, ended, fail } = setUp(() => Promise.resolve(isTaken ? null : [leftover("a")]));
  const removed: string[][] = [];
  runner.removeLeft = (but) => void removed.push([...but]);
  await fail(full);
  expect([ended, removed]).toEqual([[], []]);
  isTaken = false;
  await fail(full);
  expect([ended, removed]).toEqual([["a"], [["a"]]]);
});

it("a start that fails of anything else ends nothing", async () => {
  const { ended, fail } = setUp(() => Promise.resolve([leftover("a")]));
  await fail(new Error("another agent runs"));
  expect(ended).toEqual([]);
});

it("what cannot be told or ended now is tried again with the next failure", async () => {
  let looks = 0;
  const { ended, answers, fail, logger } = setUp(() => {
    looks += 1;
    return looks === 1 ? Promise.reject(new Error("EIO")) : Promise.resolve([leftover("a")]);
  });
  await fail(full);
  expect(logger.has("cannot be told yet", "warn")).toBe(true);
  await fail(full);
  answers[0]?.(new Error("no table of processes"));
  await Promise.resolve();
  await Promise.resolve();
  await fail(full);
  expect(ended).toEqual(["a", "a"]);
});

it("I9: that the program is to stop reaches whoever makes an ending, of whichever start", async () => {
  const { stopped, runner, endings, fail } = setUp(() => Promise.resolve([leftover("a"), leftover("b")]));
  await fail(full);
  endings.joinedBy({ ...runner, stopping: () => void stopped.push("last") }).stopping?.();
  expect(stopped).toEqual(["early", "last"]);
});
