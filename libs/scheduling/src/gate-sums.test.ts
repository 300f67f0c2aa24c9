import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type GateAgent, shouldPause } from "./gate.ts";
import { GateSums } from "./gate-sums.ts";

const figure = fc.record({ free: fc.integer({ min: 0, max: 16 }), ceiling: fc.integer({ min: 0, max: 16 }) });
const agent: fc.Arbitrary<GateAgent> = fc.record({
  agentId: fc.constantFrom("a", "b", "c", "d"),
  online: fc.boolean(),
  cpu: fc.option(figure),
  vram: fc.option(figure),
});
/** An agent comes, or is another than it was; false: it goes. */
const change = fc.tuple(agent, fc.boolean());
const questions = [null, { gpuCount: 0 }, { gpuCount: 1 }];

describe("the sums of the gate", () => {
  it("R-PAUSE-2: whatever has come, changed and gone, the verdict is that on the agents which are there", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.constantFrom(0, 0.2, 0.5, 1), (changes, threshold) => {
        const sums = new GateSums(threshold);
        const there = new Map<string, GateAgent>();
        for (const [next, stays] of changes) {
          const before = there.get(next.agentId);
          if (before !== undefined) sums.drop(before);
          there.delete(next.agentId);
          if (!stays) continue;
          sums.add(next);
          there.set(next.agentId, next);
        }
        for (const task of questions) {
          const { perAgent, ...expected } = shouldPause({ agents: [...there.values()], threshold, task });
          const found = sums.verdict(task);
          expect(found).toEqual({
            ...expected,
            averageCpuFreePercent: expect.closeTo(expected.averageCpuFreePercent, 6),
            averageGpuFreePercent:
              expected.averageGpuFreePercent === null ? null : expect.closeTo(expected.averageGpuFreePercent, 6),
          });
          expect(found).toMatchObject({
            agentsOnline: perAgent.length,
            agentsBelow: perAgent.filter(({ below }) => below).length,
          });
        }
      }),
    );
  });
});
