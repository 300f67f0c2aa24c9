import { describe, expect, it } from "vitest";
import { explain } from "./explain.ts";
import { desktop, dimension, GIB, held, sample } from "./fixtures.test-helper.ts";
import { normalizeNeeds } from "./needs.ts";

const busy = { reservations: [held("x", { cpuMillicores: 8000 })] };

describe("fleetSentence", () => {
  it("DESIGN-3: what never fits is short of what the machine has, not of what is free", () => {
    const found = explain(
      [desktop("a", { sample: sample({ cpu: dimension(100_000) }), ...busy })],
      normalizeNeeds({ cpuMillicores: 400_000 }),
    );
    expect(found.agents[0]?.misses).toMatchObject([{ shortBy: 300_000, permanent: true }]);
    expect(found.sentence).toBe(
      "It can never fit on the only agent; the nearest: 300.0 cores short (it has 100.0 cores at most).",
    );
  });

  it("counts only agents that are online, and says the others apart", () => {
    const views = [desktop("a", busy), desktop("b", busy), desktop("c", { status: "offline" })];
    expect(explain(views, normalizeNeeds({})).sentence).toBe(
      "No room now on any of the 2 online agents (1 more is not online); the nearest: 1.0 core short.",
    );
    expect(explain(views.slice(1), normalizeNeeds({})).sentence).toBe(
      "No room now on the only online agent (1 more is not online); the nearest: 1.0 core short.",
    );
  });

  it("counts only agents that the task may run on", () => {
    const views = [
      desktop("a", { poolName: "lab", ...busy }),
      desktop("b", { poolName: "lab", ...busy }),
      desktop("c"),
      desktop("d", { agentType: "code" }),
    ];
    expect(explain(views, normalizeNeeds({ pool: "lab" })).sentence).toBe(
      "No room now on any of the 2 agents it may run on; the nearest: 1.0 core short.",
    );
  });

  it("of a task that names its agent, speaks of that agent", () => {
    const pinned = { agentId: "a" };
    const others = [desktop("b"), desktop("c", { status: "offline" })];
    const sentence = (a: Parameters<typeof desktop>[1], needs: Parameters<typeof normalizeNeeds>[0] = {}): string =>
      explain([...others, desktop("a", a)], normalizeNeeds({ ...pinned, ...needs })).sentence;
    expect(sentence(busy)).toBe("No room now on the agent it asks for; the nearest: 1.0 core short.");
    expect(sentence({ status: "offline" })).toBe("The agent it asks for is not online.");
    expect(sentence({}, { memoryMib: 1_000 * GIB })).toMatch(
      /^It can never fit on the agent it asks for; the nearest: .* GiB memory short/,
    );
  });
});
