import type { Database } from "@headroom/postgres";
import { describe, expect, it } from "vitest";
import { PlanLockedError } from "../plan-locked.ts";
import { PlanTransactions } from "./plan-transactions.ts";

/** All that can go on has gone on. */
const soon = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** `fails`: what each transaction throws when it locks the plan; null: nothing. Each waits until it is let go on. */
function begin(...fails: readonly (Error | null)[]) {
  const waiting: (() => void)[] = [];
  let begun = 0;
  const query = (statement: { readonly name: string }): Promise<readonly object[]> => {
    const error = statement.name === "plans_lock" ? fails[begun - 1] : undefined;
    return error === null || error === undefined ? Promise.resolve([]) : Promise.reject(error);
  };
  const database = {
    async transaction(body: (tx: object) => Promise<unknown>) {
      begun += 1;
      await new Promise<void>((resolve) => void waiting.push(resolve));
      return body({ query });
    },
  };
  const plans = new PlanTransactions(database as unknown as Database);
  const run = (plan: string, name: string): Promise<unknown> => plans.run(plan, () => Promise.resolve(name));
  const letGo = async (): Promise<void> => {
    await soon();
    waiting.shift()?.();
    await soon();
  };
  return { run, letGo, begun: () => begun };
}

const lockTimeout = (): Error => Object.assign(new Error("canceling statement due to lock timeout"), { code: "55P03" });

describe("transactions about one plan", () => {
  it("come one after the other, and those about others beside them", async () => {
    const { run, letGo, begun } = begin(null, null, null);
    const all = Promise.all([run("a", "first"), run("a", "second"), run("b", "other")]);
    await soon();
    expect(begun()).toBe(2);
    for (let each = 0; each < 3; each += 1) await letGo();
    expect(await all).toEqual(["first", "second", "other"]);
  });

  it("that wait behind one which finds the plan locked are not begun; a later one is", async () => {
    const { run, letGo, begun } = begin(lockTimeout(), null);
    const all = Promise.allSettled([run("a", "first"), run("a", "second"), run("a", "third")]);
    await letGo();
    for (const each of await all) expect(each).toMatchObject({ reason: expect.any(PlanLockedError) });
    expect(begun()).toBe(1);
    const later = run("a", "later");
    await letGo();
    expect(await later).toBe("later");
  });

  it("that wait behind one which fails for itself go on", async () => {
    const { run, letGo } = begin(new Error("a bug"), null);
    const all = Promise.allSettled([run("a", "first"), run("a", "second")]);
    await letGo();
    await letGo();
    expect(await all).toMatchObject([{ reason: { message: "a bug" } }, { value: "second" }]);
  });
});
