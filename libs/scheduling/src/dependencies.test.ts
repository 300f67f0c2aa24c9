import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkDependencies, dependencyProblemText, dependencyVerdict } from "./dependencies.ts";

/** "a:b,c d" means a depends on b and c, d on nothing. */
function tasks(text: string) {
  return text.split(" ").map((part) => {
    const [name = "", list = ""] = part.split(":");
    return { name, dependsOn: list === "" ? [] : list.split(",") };
  });
}

describe("dependencies", () => {
  it("orders every task after what it depends on", () => {
    expect(checkDependencies(tasks("a:b,c b:d c:d d"))).toEqual({ kind: "sound", order: ["d", "b", "c", "a"] });
  });

  it.each([
    ["a a", { kind: "duplicate_name", name: "a" }],
    ["a:a", { kind: "self_dependency", name: "a" }],
    ["a:x", { kind: "unknown_dependency", name: "a", dependsOn: "x" }],
    ["a:b,b b", { kind: "duplicate_dependency", name: "a", dependsOn: "b" }],
    ["a:b b:a", { kind: "cycle", path: ["a", "b", "a"] }],
    ["x:a a:b b:c c:a", { kind: "cycle", path: ["a", "b", "c", "a"] }],
  ] as const)("refuses %s", (text, problem) => {
    expect(checkDependencies(tasks(text))).toEqual({ kind: "unsound", problems: [problem] });
    expect(dependencyProblemText(problem)).toContain("a");
  });

  it("reports all broken references at once", () => {
    expect(checkDependencies(tasks("a:a,x b:y"))).toMatchObject({ problems: { length: 3 } });
  });

  it("walks a chain of 100,000 tasks", () => {
    const chain = Array.from({ length: 100_000 }, (_, index) => ({
      name: String(index),
      dependsOn: index === 0 ? [] : [String(index - 1)],
    }));
    expect(checkDependencies(chain.toReversed()).kind).toBe("sound");
  });

  it("is ready when all succeeded, and failed as soon as one cannot", () => {
    expect(dependencyVerdict([])).toBe("ready");
    expect(dependencyVerdict(["succeeded", "running"])).toBe("pending");
    expect(dependencyVerdict(["succeeded", "succeeded"])).toBe("ready");
    expect(dependencyVerdict(["running", "cancelled"])).toBe("failed");
  });

  it("finds an order or a true cycle in any graph", () => {
    const size = 8;
    const edges = fc.uniqueArray(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { selector: String });
    fc.assert(
      fc.property(edges, (pairs) => {
        const graph = Array.from({ length: size }, (_, index) => ({
          name: String(index),
          dependsOn: pairs.filter(([from, to]) => from === index && to !== index).map(([, to]) => String(to)),
        }));
        const dependsOn = new Map(graph.map((task) => [task.name, task.dependsOn]));
        const found = checkDependencies(graph);
        if (found.kind === "sound") {
          expect(found.order).toHaveLength(size);
          found.order.forEach((name, position) => {
            for (const dependency of dependsOn.get(name) ?? []) {
              expect(found.order.indexOf(dependency)).toBeLessThan(position);
            }
          });
          return;
        }
        const [problem] = found.problems;
        if (problem?.kind !== "cycle") throw new Error("the only problem here can be a cycle");
        expect(problem.path.at(0)).toBe(problem.path.at(-1));
        problem.path.slice(1).forEach((name, index) => {
          expect(dependsOn.get(problem.path[index] ?? "")).toContain(name);
        });
      }),
    );
  });
});
