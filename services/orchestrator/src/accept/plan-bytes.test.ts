import { wire } from "@headroom/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashPlan, jsonBytes, planBytes } from "./plan-bytes.ts";

const text = fc.string({ unit: "binary", maxLength: 20 });
const entries = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 4 }), text), {
  selector: ([key]) => key,
  maxLength: 6,
});
const time = fc.record({
  seconds: fc.integer({ min: 0, max: 2 ** 40 }),
  nanos: fc.integer({ min: 0, max: 999_999_999 }),
});
const task = fc.record({
  name: text,
  argv: fc.array(text, { maxLength: 4 }),
  env: entries,
  labels: entries,
  cpuCores: fc.double({ min: 0, max: 1e9, noNaN: true }),
  resumeAfter: fc.option(time, { nil: undefined }),
  runTimeout: fc.option(time, { nil: undefined }),
});
const plans = fc.record({ name: text, labels: entries, tasks: fc.array(task, { maxLength: 5 }) });
type Given = typeof plans extends fc.Arbitrary<infer Plan> ? Plan : never;

function planOf(given: Given, order: (map: [string, string][]) => [string, string][]): wire.WorkPlan {
  const map = (pairs: [string, string][]): Record<string, string> => Object.fromEntries(order(pairs));
  return wire.WorkPlan.fromPartial({
    name: given.name,
    labels: map(given.labels),
    tasks: given.tasks.map(({ name, argv, env, labels, cpuCores, resumeAfter, runTimeout }) => ({
      name,
      command: { argv, env: map(env) },
      needs: { cpuCores, labels: map(labels) },
      resumeAfter,
      runTimeout,
    })),
  });
}

describe("the hash of a plan", () => {
  it("does not see how its maps are ordered", () => {
    fc.assert(
      fc.property(plans, (given) => {
        expect(hashPlan(planOf(given, (map) => map.toReversed()))).toBe(hashPlan(planOf(given, (map) => map)));
      }),
    );
  });

  it("sees what it says", () => {
    fc.assert(
      fc.property(plans, plans, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        fc.pre(!same && one.name !== other.name);
        expect(hashPlan(planOf(one, (map) => map))).not.toBe(hashPlan(planOf(other, (map) => map)));
      }),
    );
    const plan = wire.WorkPlan.fromPartial({ name: "p", tasks: [{ name: "t", command: { argv: ["true"] } }] });
    expect(hashPlan({ ...plan, priority: 4 })).not.toBe(hashPlan(plan));
  });
});

describe("the length of a plan as JSON", () => {
  it("is never more than what is said of it, and exact above the limit", () => {
    fc.assert(
      fc.property(plans, (given) => {
        const plan = planOf(given, (map) => map);
        const exact = Buffer.byteLength(JSON.stringify(plan));
        expect(jsonBytes(plan, planBytes(plan).length, 1e9)).toBeGreaterThanOrEqual(exact);
        expect(jsonBytes(plan, planBytes(plan).length, 0)).toBe(exact);
      }),
    );
  });
});
