import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import {
  initialHeartbeat,
  stepHeartbeat,
  type HeartbeatEffect,
  type HeartbeatEvent,
  type HeartbeatState,
} from "./machine.ts";

const middle = 0.5;

function sample(availableMillicores: number, attemptIds: readonly string[] = []): wire.Sample {
  return wire.Sample.fromPartial({
    cpuMillicores: { total: 8_000, available: availableMillicores },
    memoryMib: { total: 1_000, available: 500 },
    attempts: attemptIds.map((attemptId) => ({ attemptId, fence: 1 })),
  });
}

/** Feeds events at their times; answers the effects of the last and the state. */
function play(events: readonly (readonly [number, HeartbeatEvent])[]): {
  state: HeartbeatState;
  effects: readonly HeartbeatEffect[];
} {
  let state = initialHeartbeat;
  let effects: readonly HeartbeatEffect[] = [];
  for (const [atMs, event] of events) ({ state, effects } = stepHeartbeat(state, event, atMs, middle));
  return { state, effects };
}

const opened = (first: wire.Sample | null = sample(8_000)): readonly [number, HeartbeatEvent] => [
  0,
  { kind: "opened", sample: first },
];
const welcome: readonly [number, HeartbeatEvent] = [10, { kind: "welcome", intervalMs: 5_000, ttlMs: 15_000 }];
const measured = (atMs: number, found: wire.Sample | null): readonly [number, HeartbeatEvent] => [
  atMs,
  { kind: "measured", sample: found },
];

describe("the heartbeat machine", () => {
  it("greets with the full sample and waits for a welcome", () => {
    const first = sample(8_000);
    expect(play([opened(first)]).effects).toEqual([
      { kind: "send_hello", sample: first },
      { kind: "set_timer", delayMs: 10_000 },
    ]);
    expect(play([opened(), [10_000, { kind: "timer" }]]).effects).toEqual([{ kind: "give_up", silentMs: 10_000 }]);
  });

  it("gives up who does not greet also when its timer fires a little before its time", () => {
    const early = play([opened(), [9_999.3, { kind: "timer" }]]);
    expect(early.effects).toEqual([{ kind: "set_timer", delayMs: 1 }]);
    expect(stepHeartbeat(early.state, { kind: "timer" }, 10_000.3, middle).effects).toEqual([
      { kind: "give_up", silentMs: 10_000.3 },
    ]);
    expect(play([opened(), [4_000, { kind: "timer" }]]).effects).toEqual([{ kind: "set_timer", delayMs: 6_000 }]);
  });

  it("beats at the interval that the server sets, spread by 10 %", () => {
    expect(play([opened(), welcome]).effects).toEqual([{ kind: "set_timer", delayMs: 5_000 }]);
    const up = play([opened(), welcome]).state;
    expect(stepHeartbeat(up, { kind: "timer" }, 5_010, middle).effects).toEqual([{ kind: "measure" }]);
    const { state } = stepHeartbeat(up, { kind: "ack", nextIntervalMs: 20_000, wantFull: false }, 5_020, middle);
    expect(state.ttlMs).toBe(60_000);
    const { effects } = stepHeartbeat(
      { ...state, measuring: true },
      { kind: "measured", sample: sample(8_000) },
      5_030,
      0,
    );
    expect(effects).toContainEqual({ kind: "set_timer", delayMs: 18_000 });
  });

  it("sends a sample when it changed by more than 5 %, and none when it did not", () => {
    const small = play([opened(), welcome, [5_000, { kind: "timer" }], measured(5_001, sample(7_600))]);
    expect(small.effects[0]).toEqual({ kind: "send_beat", seq: 1, sample: null });
    const large = sample(7_599);
    expect(play([opened(), welcome, [5_000, { kind: "timer" }], measured(5_001, large)]).effects[0]).toEqual({
      kind: "send_beat",
      seq: 1,
      sample: large,
    });
  });

  it("compares with what was sent, so that small steps add up", () => {
    const steps = [7_700, 7_400].map(
      (value, index) =>
        [[5_000 * (index + 1), { kind: "timer" }], measured(5_000 * (index + 1) + 1, sample(value))] as const,
    );
    expect(play([opened(), welcome, ...steps.flat()]).effects[0]).toMatchObject({ seq: 2, sample: sample(7_400) });
  });

  it("sends a sample every 60 s, and when the server wants one", () => {
    const same = sample(8_000);
    const heard: readonly [number, HeartbeatEvent] = [59_000, { kind: "ack", nextIntervalMs: null, wantFull: false }];
    expect(
      play([opened(), welcome, heard, [60_000, { kind: "timer" }], measured(60_001, same)]).effects[0],
    ).toMatchObject({ sample: same });
    const wanted = play([
      opened(),
      welcome,
      [100, { kind: "ack", nextIntervalMs: null, wantFull: true }],
      [5_000, { kind: "timer" }],
      measured(5_001, same),
    ]);
    expect(wanted.effects[0]).toMatchObject({ sample: same });
    expect(wanted.state.wantFull).toBe(false);
  });

  it("measures at once when an attempt comes or goes, and sends that sample", () => {
    const now = sample(8_000, ["a"]);
    expect(play([opened(), welcome, [20, { kind: "attempts_changed" }]]).effects).toEqual([{ kind: "measure" }]);
    expect(play([opened(), welcome, [20, { kind: "attempts_changed" }], measured(30, now)]).effects[0]).toMatchObject({
      seq: 1,
      sample: now,
    });
  });

  it("tells a change of its status that came between hello and welcome with the welcome, not an interval later", () => {
    const changed: readonly [number, HeartbeatEvent] = [5, { kind: "status_changed" }];
    const { state, effects } = play([opened(), changed, welcome]);
    expect(effects[0]).toEqual({ kind: "send_beat", seq: 1, sample: null });
    expect(state.statusChanged).toBe(false);
    expect(play([opened(), welcome, [20, { kind: "status_changed" }]]).effects[0]).toMatchObject({ seq: 1 });
  });

  it("measures again when an attempt comes while it measures, and when one came before the welcome", () => {
    const twice = play([
      opened(),
      welcome,
      [20, { kind: "attempts_changed" }],
      [21, { kind: "attempts_changed" }],
      measured(30, sample(8_000, ["a"])),
    ]);
    expect(twice.effects.slice(1)).toEqual([{ kind: "set_timer", delayMs: 90 }]);
    expect(stepHeartbeat(twice.state, { kind: "timer" }, 120, middle).effects).toEqual([{ kind: "measure" }]);
    expect(play([opened(), [5, { kind: "attempts_changed" }], welcome]).effects).toEqual([{ kind: "measure" }]);
  });

  it("measures for attempts no oftener than every 100 ms, and forgets none, whatever comes between", () => {
    const burst: readonly (readonly [number, HeartbeatEvent])[] = [
      [20, { kind: "attempts_changed" }],
      measured(30, sample(8_000, ["a"])),
      [40, { kind: "attempts_changed" }],
    ];
    expect(play([opened(), welcome, ...burst]).effects).toEqual([{ kind: "set_timer", delayMs: 80 }]);
    const held = play([opened(), welcome, ...burst, [50, { kind: "status_changed" }]]);
    expect(held.effects[1]).toEqual({ kind: "set_timer", delayMs: 70 });
    expect(stepHeartbeat(held.state, { kind: "timer" }, 120, middle).effects).toEqual([{ kind: "measure" }]);
    expect(play([opened(), welcome, ...burst, [121, { kind: "attempts_changed" }]]).effects).toEqual([
      { kind: "measure" },
    ]);
  });

  it("tells at once that it is attached or held, without measuring", () => {
    expect(play([opened(), welcome, [20, { kind: "status_changed" }]]).effects[0]).toEqual({
      kind: "send_beat",
      seq: 1,
      sample: null,
    });
    expect(play([opened(), [5, { kind: "status_changed" }]]).effects).toEqual([]);
  });

  it("gives a stream up that has said nothing for the time to live, also after a sleep", () => {
    expect(play([opened(), welcome, [15_010, { kind: "timer" }]]).effects).toEqual([
      { kind: "give_up", silentMs: 15_000 },
    ]);
    const heard = play([
      opened(),
      welcome,
      [14_000, { kind: "ack", nextIntervalMs: null, wantFull: false }],
      [15_010, { kind: "timer" }],
    ]);
    expect(heard.effects).toEqual([{ kind: "measure" }]);
  });

  it("beats without a sample when the machine cannot be measured", () => {
    expect(play([opened(null), welcome, [5_000, { kind: "timer" }], measured(5_001, null)]).effects[0]).toEqual({
      kind: "send_beat",
      seq: 1,
      sample: null,
    });
  });

  it("comes back when it is asked to, and says goodbye when it stops", () => {
    const leaving = play([opened(), welcome, [20, { kind: "reconnect", withinMs: 3_000 }]]);
    expect(leaving.effects).toEqual([{ kind: "leave", withinMs: 3_000 }]);
    expect(stepHeartbeat(leaving.state, { kind: "timer" }, 30, middle).effects).toEqual([]);
    expect(play([opened(), welcome, [20, { kind: "goodbye", reason: "sleep" }]]).effects).toEqual([
      { kind: "send_goodbye", reason: "sleep" },
      { kind: "leave", withinMs: null },
    ]);
    expect(play([opened(), [20, { kind: "goodbye", reason: "sleep" }]]).effects).toEqual([
      { kind: "leave", withinMs: null },
    ]);
  });
});
