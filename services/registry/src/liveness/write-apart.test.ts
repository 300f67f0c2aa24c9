import { expect, test } from "vitest";
import { StoreUnavailableError } from "../store/registry-store.ts";
import { writeApart } from "./write-apart.ts";

const ids = ["a", "b", "c", "d"];
const failed = (code: string): Error => Object.assign(new Error(code), { code });

test("a store that is away is not asked again, and nothing is refused", async () => {
  let tries = 0;
  const away = new StoreUnavailableError("away");
  const outcome = await writeApart(ids, () => {
    tries += 1;
    return Promise.reject(away);
  });
  expect(outcome).toEqual({ refused: [], failure: { error: away, left: ids } });
  expect(tries).toBe(1);
});

test("a row whose values the store does not take is refused, also where the store says that it is in conflict with another", async () => {
  const conflict = new StoreUnavailableError("conflict", { cause: failed("23503") });
  const outcome = await writeApart(ids, (some) => (some.includes("b") ? Promise.reject(conflict) : Promise.resolve()));
  expect(outcome).toEqual({ refused: [{ id: "b", error: conflict }], failure: null });
});

test("what failed before the store took anything is tried again: it may just have come back", async () => {
  let tries = 0;
  const written: string[] = [];
  const outcome = await writeApart(ids, (some) => {
    tries += 1;
    if (tries <= 4) return Promise.reject(failed("XX000"));
    written.push(...some);
    return Promise.resolve();
  });
  expect(outcome).toEqual({ refused: [], failure: null });
  expect(written.toSorted()).toEqual(ids);
});

test("a store that fails in the middle is given back what is left", async () => {
  const many = Array.from({ length: 1_000 }, (_, each) => String(each));
  const written: string[] = [];
  let isDown = false;
  const { refused, failure } = await writeApart(many, (some) => {
    if (isDown || some.includes("999")) return Promise.reject(failed("42501"));
    written.push(...some);
    isDown = written.length >= 500;
    return Promise.resolve();
  });
  expect(written).toEqual(many.slice(0, 500));
  expect(refused).toEqual([]);
  expect(failure?.left.toSorted()).toEqual(many.slice(500).toSorted());
});
