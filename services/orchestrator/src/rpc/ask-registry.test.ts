import { wire } from "@headroom/contracts";
import { silentLogger } from "@headroom/runtime";
import { normalizeNeeds } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { askRegistry } from "./ask-registry.ts";
import type { HandlerDeps } from "./deps.ts";

const needs = normalizeNeeds({});
const capacity = { explanation: wire.CapacityExplanation.create(), roomInMs: null, roomOnAgentId: null };

/** How often the registry was asked, and what came of it. */
async function asked(isUp: boolean, explain: () => Promise<typeof capacity>) {
  let times = 0;
  const deps = {
    fleet: { snapshot: () => (isUp ? { kind: "up" } : { kind: "down", sentence: "It gives no sign of life." }) },
    registry: {
      explain: () => {
        times += 1;
        return explain();
      },
    },
  } as unknown as Pick<HandlerDeps, "fleet" | "registry">;
  const word = await askRegistry(deps, needs, 1, silentLogger);
  return { times, word };
}

describe("asking the registry for an explanation", () => {
  it("does not ask one that is known to give no sign of life, and says what is known of it", async () => {
    const { times, word } = await asked(false, () => Promise.resolve(capacity));
    expect(times).toBe(0);
    expect(word).toEqual({ kind: "unavailable", sentence: "It gives no sign of life." });
  });

  it("says why one that is asked does not answer", async () => {
    const { word } = await asked(true, () => Promise.reject(new Error("it did not answer in time")));
    expect(word).toEqual({
      kind: "unavailable",
      sentence: "The registry cannot be asked: it did not answer in time",
    });
    expect((await asked(true, () => Promise.resolve(capacity))).word).toEqual({ kind: "told", capacity });
  });
});
