import { MISS_CODES, PAUSE_REASONS, TASK_STATES } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import * as enums from "./enums.ts";
import * as wire from "./gen/index.ts";

/** Each enum with its wire numbers. */
const CASES = [
  ["AgentStatus", enums.agentStatusWire, wire.AgentStatus],
  ["AgentType", enums.agentTypeWire, wire.AgentType],
  ["AttemptOutcome", enums.attemptOutcomeWire, wire.AttemptOutcome],
  ["AttemptState", enums.attemptStateWire, wire.AttemptState],
  ["FleetVerdict", enums.fleetVerdictWire, wire.FleetVerdict],
  ["GoodbyeReason", enums.goodbyeReasonWire, wire.GoodbyeReason],
  ["MissCode", enums.missCodeWire, wire.MissCode],
  ["OutputStream", enums.outputStreamWire, wire.OutputStream],
  ["PauseReason", enums.pauseReasonWire, wire.PauseReason],
  ["PlanStatus", enums.planStatusWire, wire.PlanStatus],
  ["ReleaseOutcome", enums.releaseOutcomeWire, wire.ReleaseOutcome],
  ["RenewOutcome", enums.renewOutcomeWire, wire.RenewOutcome],
  ["ReservationKind", enums.reservationKindWire, wire.ReservationKind],
  ["ReservationState", enums.reservationStateWire, wire.ReservationState],
  ["TaskState", enums.taskStateWire, wire.TaskState],
] as const;

interface AnyEnum {
  toWire(word: string): number;
  fromWire(value: number, field: string): { kind: string; value?: string; field?: string; description?: string };
}

describe.each(CASES)("%s", (_name, map, numbers) => {
  // One test for all: the words differ from case to case.
  const anyMap = map as unknown as AnyEnum;

  it("gives a word for every value of the wire, and that word the value", () => {
    for (const number of Object.values(numbers)) {
      if (number <= 0) continue;
      const read = anyMap.fromWire(number, "x");
      expect(read.kind).toBe("ok");
      expect(anyMap.toWire(read.value ?? "")).toBe(number);
    }
  });

  it("refuses a number that it does not know, naming the field and the words", () => {
    const read = anyMap.fromWire(12_345, "sample.x");
    expect(read).toMatchObject({ kind: "invalid", field: "sample.x" });
    expect(read.description).toMatch(/12345 is not known here; use one of \w+/);
  });
});

describe("enums", () => {
  it("have a value for every word of the domain", () => {
    for (const code of MISS_CODES) expect(enums.missCodeWire.toWire(code)).toBeGreaterThan(0);
    for (const state of TASK_STATES) expect(enums.taskStateWire.toWire(state)).toBeGreaterThan(0);
    for (const reason of PAUSE_REASONS) expect(enums.pauseReasonWire.toWire(reason)).toBeGreaterThan(0);
  });

  it("takes an agent that does not say what it is for a desktop", () => {
    expect(enums.agentTypeWire.fromWire(0, "agent_type")).toEqual({ kind: "ok", value: "desktop" });
    expect(enums.agentStatusWire.fromWire(0, "status").kind).toBe("invalid");
  });

  it("reads the plainest of several reasons that share a value", () => {
    const { toWire, fromWire } = enums.pauseReasonWire;
    expect(fromWire(toWire("NO_AGENT_FITS_NOW"), "r")).toEqual({ kind: "ok", value: "NO_AGENT_FITS_NOW" });
  });
});
