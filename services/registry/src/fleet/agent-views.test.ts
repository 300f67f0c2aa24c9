import { describe, expect, it } from "vitest";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { viewOf } from "./agent-views.ts";

const running = (attemptId: string, cpuMillicores: number) => ({
  attemptId,
  fence: 1,
  used: { cpuMillicores, memoryMib: 0, cards: [] },
});

describe("viewOf", () => {
  it("is computed once per record", () => {
    const agent = agentWith();
    expect(viewOf(agent)).toBe(viewOf(agent));
  });

  it("an attempt without a promise takes its room before it is adopted", () => {
    const sample = { ...sampleWith(12), attempts: [running("unknown", 4_000)] };
    expect(viewOf(agentWith({ sample })).room.cpu.free).toBe(12_000);
  });

  it("room is back the moment a reservation ends, whatever the sample before says", () => {
    const { attemptId } = reservationWith();
    const sample = { ...sampleWith(12), attempts: [running(attemptId, 4_000)] };
    const held = agentWith({ sample, reservations: reservationsOf(reservationWith()) });
    expect(viewOf(held).room.cpu.free).toBe(12_000);
    const ended = reservationWith({ state: "released", releasedAtMs: 5 });
    expect(viewOf(agentWith({ sample, reservations: reservationsOf(ended) })).room.cpu.free).toBe(16_000);
  });
});
