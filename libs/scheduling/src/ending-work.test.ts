import { describe, expect, it } from "vitest";
import type { AgentView } from "./agent-view.ts";
import { estimateRoom } from "./estimate.ts";
import { explainAgent } from "./explain.ts";
import { desktop, dimension, held, sample } from "./fixtures.test-helper.ts";
import { normalizeNeeds } from "./needs.ts";
import type { HeldRoom } from "./capacity.ts";

/** The most attempts that a sample may list. */
const ATTEMPTS = 4_096;

/** An agent that is full, with what is held on it read through a counter. */
function counted(): { readonly view: AgentView; readonly reads: () => number; readonly rooms: () => number } {
  let reads = 0;
  let rooms = 0;
  const oneOf = (index: number): HeldRoom => {
    const one = held(`attempt-${String(index).padStart(4, "0")}`, { cpuMillicores: 1_000 }, index);
    const { reserved } = one;
    return {
      ...one,
      get reserved() {
        reads += 1;
        return reserved;
      },
    };
  };
  const full = desktop("a", {
    sample: sample({ cpu: dimension(ATTEMPTS * 1_000) }),
    reservations: Array.from({ length: ATTEMPTS }, (_, index) => oneOf(index)),
  });
  const { room } = full;
  const view: AgentView = {
    ...full,
    room: {
      ...room,
      get cpu() {
        rooms += 1;
        return room.cpu;
      },
    },
  };
  reads = 0;
  return { view, reads: () => reads, rooms: () => rooms };
}

/** Of a task that needs as much as so many attempts have. */
const needsOf = (attempts: number) => normalizeNeeds({ cpuMillicores: attempts * 1_000 });

describe("what has to end, of very many attempts", () => {
  it.each([1, 64, 65, 2_000, ATTEMPTS])(
    "DESIGN-3: each attempt is read once, and the room is made a few times only, for a task that needs %i to end",
    (attempts) => {
      const { view, reads, rooms } = counted();
      const { unblock } = explainAgent(view, needsOf(attempts));
      expect(unblock).toMatchObject({ kind: "attempts_end", expectedAtMs: attempts - 1 });
      expect(unblock.kind === "attempts_end" ? unblock.attemptIds.length : 0).toBe(attempts);
      expect(reads()).toBeLessThanOrEqual(ATTEMPTS);
      // Halving 4,096, then 128 looks at most at which may be left out, the last of which may take 24 more.
      expect(rooms()).toBeLessThanOrEqual(1 + 128 + 24);
    },
  );

  it("DESIGN-3: another question about the same agent reads none again", () => {
    const { view, reads } = counted();
    explainAgent(view, needsOf(3));
    const before = reads();
    explainAgent(view, needsOf(5));
    expect(reads()).toBe(before);
  });

  it("R-CAP-9: an estimate reads each attempt once, and makes the room a few times only", () => {
    const { view, reads, rooms } = counted();
    expect(estimateRoom([view], needsOf(3_000), 0)?.earliestMs).toBe(2_999);
    expect(reads()).toBeLessThanOrEqual(ATTEMPTS);
    expect(rooms()).toBeLessThanOrEqual(1 + 12 + 10);
  });
});
