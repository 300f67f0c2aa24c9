import { messageToJson, wire } from "@headroom/contracts";
import { systemPorts } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import type { OrchestratorStore } from "../store/port.ts";
import { type AgentMessagesOptions, createAgentMessages } from "./agent-messages.ts";
import type { Session } from "./session.ts";
import { chunkFromWire, resultFromWire, timeFromWire } from "./wire-messages.ts";

const attempt = { attemptId: "0469d56d-2b5a-478c-a20d-2e9b78ac6edb", fence: 1 };
const nowMs = 1_700_000_000_000;

/** Before 1970, after 9999, and what no database takes. */
const noTimes = [
  { seconds: -1, nanos: 0 },
  { seconds: 0, nanos: -1 },
  { seconds: 253_402_300_800, nanos: 0 },
  { seconds: 253_402_300_799, nanos: 1_000_000_000 },
  { seconds: 1e15, nanos: 0 },
  { seconds: -1e15, nanos: 0 },
];

async function startedAtOf(startedAt: wire.AttemptStarted["startedAt"]): Promise<number | null> {
  let told: number | null = null;
  const markStarted: OrchestratorStore["markStarted"] = (_attempt, _agentId, startedAtMs) => {
    told = startedAtMs;
    return Promise.resolve(null);
  };
  const options = {
    store: { markStarted, findAttempts: () => Promise.resolve([]) },
    ports: { ...systemPorts, clock: { ...systemPorts.clock, now: () => nowMs } },
  } as unknown as AgentMessagesOptions;
  const session = {
    agentId: "agent",
    cancel: () => undefined,
    patience: () => ({ onLocked: () => undefined, signal: new AbortController().signal }),
  } as unknown as Session;
  const value = wire.AttemptStarted.fromPartial({ ...attempt, startedAt });
  await createAgentMessages(options).handle(session, { $case: "started", value }, () => undefined);
  return told;
}

describe("times that an agent tells", () => {
  it("are taken from 1970 to the end of 9999", () => {
    expect(timeFromWire({ seconds: 0, nanos: 0 })).toBe(0);
    expect(timeFromWire({ seconds: 253_402_300_799, nanos: 999_999_999 })).toBe(253_402_300_799_999);
    expect(timeFromWire(undefined)).toBeNull();
  });

  it.each(noTimes)("$seconds s and $nanos ns count as not told", async (at) => {
    const outcome = wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED;
    const finished = wire.AttemptFinished.fromPartial({ ...attempt, outcome, startedAt: at, finishedAt: at });
    expect(resultFromWire(finished, "agent")).toMatchObject({
      kind: "ok",
      value: { startedAtMs: null, finishedAtMs: null },
    });
    const stream = wire.OutputStream.OUTPUT_STREAM_STDOUT;
    const output = wire.AttemptOutput.fromPartial({ ...attempt, seq: 1, stream, at });
    expect(chunkFromWire(output, nowMs)).toMatchObject({ kind: "ok", value: { atMs: nowMs } });
    expect(await startedAtOf(at)).toBe(nowMs);
  });

  it("a time of a run is one that JSON can write", () => {
    for (const seconds of [315_576_000_000, 315_576_000_001, 1e12]) {
      const read = resultFromWire(
        wire.AttemptFinished.fromPartial({
          ...attempt,
          outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
          used: { wallTime: { seconds, nanos: 0 } },
        }),
        "agent",
      );
      const wallTimeMs = read.kind === "ok" ? (read.value.used?.wallTimeMs ?? -1) : -1;
      expect(wallTimeMs).toBe(seconds <= 315_576_000_000 ? seconds * 1_000 : 0);
      const used = wire.MeasuredUse.fromPartial({ wallTime: { seconds: wallTimeMs / 1_000, nanos: 0 } });
      expect(() => messageToJson("headroom.orchestrator.v1.MeasuredUse", used)).not.toThrow();
    }
  });
});
