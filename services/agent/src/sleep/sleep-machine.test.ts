import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { awake, stepSleep, type SleepEffect, type SleepEvent, type SleepState } from "./sleep-machine.ts";

const announced: SleepEvent = { kind: "announced" };
const back: SleepEvent = { kind: "back" };
const tick = (suspendedMs = 0): SleepEvent => ({ kind: "tick", suspendedMs, awakeMs: 1_000 });

function play(events: readonly SleepEvent[]): { state: SleepState; effects: readonly SleepEffect[] } {
  let state: SleepState = awake;
  const effects: SleepEffect[] = [];
  for (const event of events) {
    const step = stepSleep(state, event);
    state = step.state;
    if (step.effect !== null) effects.push(step.effect);
  }
  return { state, effects };
}

const goes: SleepEffect = { kind: "go_to_sleep" };
const wakes = (suspendedMs: number, wasAnnounced: boolean): SleepEffect => ({
  kind: "wake_up",
  suspendedMs,
  wasAnnounced,
});

describe("DESIGN-4: sleep, announced or not", () => {
  it("is one goodbye and one waking, whoever says first that it is over", () => {
    expect(play([tick(), announced, tick(), back, tick()]).effects).toEqual([goes, wakes(0, true)]);
    expect(play([announced, tick(3_600_000), back, tick()]).effects).toEqual([goes, wakes(3_600_000, true)]);
    expect(play([announced, announced, back, back]).effects).toEqual([goes, wakes(0, true)]);
  });

  it("that nobody announced shows in the clocks, afterwards", () => {
    expect(play([tick(), tick(3_600_000), tick()]).effects).toEqual([wakes(3_600_000, false)]);
  });

  it("that does not come keeps the agent away for a minute at most", () => {
    const minute = Array.from({ length: 60 }, () => tick());
    expect(play([announced, ...minute.slice(1)]).state.phase).toBe("going");
    expect(play([announced, ...minute])).toEqual({ state: awake, effects: [goes, wakes(0, true)] });
  });

  it("in any order of events every goodbye is followed by a waking, and the agent ends up awake", () => {
    const events = fc.array(fc.constantFrom(announced, back, tick(), tick(5_000)), { maxLength: 60 });
    fc.assert(
      fc.property(events, (some) => {
        const { state, effects } = play([...some, ...Array.from({ length: 60 }, () => tick())]);
        expect(state).toEqual(awake);
        let isAway = false;
        for (const effect of effects) {
          if (effect.kind === "go_to_sleep") expect(isAway).toBe(false);
          else expect(effect.wasAnnounced).toBe(isAway);
          isAway = effect.kind === "go_to_sleep";
        }
        expect(isAway).toBe(false);
      }),
    );
  });
});
