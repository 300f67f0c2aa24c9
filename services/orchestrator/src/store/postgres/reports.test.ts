/** A plan that somebody keeps locked for longer than any session waits: what is told of it stays, and is written when that has ended. */
import type { Database } from "@headroom/postgres";
import { nextTurn } from "@headroom/runtime";
import { expect, it } from "vitest";
import { createReports, type Report } from "./reports.ts";

const attempt = { attemptId: "0469d56d-2b5a-478c-a20d-2e9b78ac6edb", fence: 1 };

/** Each transaction waits for a lock in vain, with this code of PostgreSQL. */
function keptLocked(code: string) {
  const said = { transactions: 0 };
  const db = {
    query: ({ name }: { readonly name: string }) =>
      Promise.resolve(name === "attempts_read" ? [{ attempt_id: attempt.attemptId, plan_id: "plan" }] : []),
    async transaction() {
      said.transactions += 1;
      await nextTurn();
      throw Object.assign(new Error("in the way"), { code });
    },
  } as unknown as Database;
  return { said, submit: createReports(db) };
}

const ended = new AbortController();
const patience = { onLocked: () => undefined, signal: ended.signal };
const refusal: Report = {
  kind: "ends",
  attempt,
  actor: "agent",
  stillSo: () => false,
  decide: () => ({ kind: "repeat" }),
  told: {} as never,
  patience,
};

it("DESIGN 5: waits as long as its stream lasts, and no longer", async () => {
  const { said, submit } = keptLocked("55P03");
  const answer = submit(refusal);
  const isOver = answer.then(
    () => true,
    () => true,
  );
  const isNow = (): Promise<boolean | void> => Promise.race([isOver, nextTurn()]);
  while (said.transactions < 30 && (await isNow()) !== true) continue;
  expect([said.transactions, await isNow()]).toEqual([30, undefined]);
  ended.abort();
  await expect(answer).rejects.toMatchObject({ code: "55P03" });
});

it("does not wait for a database that is too slow", async () => {
  const { said, submit } = keptLocked("57014");
  await expect(
    submit({ ...refusal, patience: { ...patience, signal: new AbortController().signal } }),
  ).rejects.toMatchObject({ code: "57014" });
  expect(said.transactions).toBeLessThan(4);
});
