import { descriptorRegistry, jsonToMessageBytes } from "@headroom/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FieldViolation } from "../errors.ts";
import { queryToJson } from "./query.ts";

const LIST = "headroom.registry.v1.ListAvailableCapacityRequest";
const CHECK = "headroom.orchestrator.v1.CheckCapacityRequest";

function read(typeName: string, query: string) {
  const violations: FieldViolation[] = [];
  const json = queryToJson(descriptorRegistry().getMessage(typeName)!, query, violations);
  return { json, violations };
}

describe("query parameters", () => {
  it("take a name like __proto__ for a key like any other", () => {
    const { json, violations } = read(LIST, "labels[__proto__]=x&labels.constructor=y&labels[a.b]=z");
    expect(violations).toEqual([]);
    expect(Object.entries(json["labels"] as object)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
      ["a.b", "z"],
    ]);
    expect(read(LIST, "__proto__=1&constructor=1").violations).toHaveLength(2);
  });

  it("say how to write what is written wrongly", () => {
    const problems = Object.fromEntries(
      read(CHECK, "needs=1&needs.labels=2&needs.cpu_cores.x=3&needs.nope=4&needs[cpu_cores]=1").violations.map(
        ({ field, description }) => [field, description],
      ),
    );
    expect(problems["needs"]).toContain("needs.cpu_cores");
    expect(problems["needs.labels"]).toContain("labels[key]=value");
    expect(problems["needs.cpu_cores.x"]).toContain("cpu_cores=value");
    expect(problems["needs.nope"]).toContain("there are cpu_cores");
    expect(problems).toHaveProperty(["needs[cpu_cores]"]);
  });

  it("are bounded in number", () => {
    const { violations } = read(LIST, Array.from({ length: 3_000 }, () => "gpu_models=x").join("&"));
    expect(violations).toMatchObject([{ description: expect.stringContaining("more than 1000") }]);
  });

  it("never throw, whatever they are", () => {
    const name = fc.constantFrom(
      "min_cpu_cores",
      "labels",
      "labels[",
      "labels[]",
      "needs",
      "needs.",
      "needs.labels[x",
      "",
    );
    const pair = fc.tuple(fc.oneof(name, fc.string()), fc.string()).map(([key, value]) => `${key}=${value}`);
    fc.assert(
      fc.property(fc.constantFrom(LIST, CHECK), fc.array(pair), (type, pairs) => {
        const { json } = read(type, pairs.join("&"));
        expect(["ok", "invalid"]).toContain(jsonToMessageBytes(type, json).kind);
      }),
    );
  });
});
