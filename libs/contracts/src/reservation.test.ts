import { normalizeNeeds, type Reservation } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { commandFromWire, commandToWire } from "./command.ts";
import * as wire from "./gen/index.ts";
import { needsToWire } from "./needs.ts";
import { reservationFromWire, reservationToWire, reserveFromWire, reserveResultFromWire } from "./reservation.ts";

const attemptId = "0b9e6f0e-0d3a-4b7c-8f47-3f2a9c5d1e00";
const agentId = "5c1a2b3d-1111-4222-8333-444455556666";

const reservation: Reservation = {
  attemptId,
  agentId,
  state: "unconfirmed",
  fence: 3,
  shape: null,
  reserved: { cpuMillicores: 1000, memoryMib: 10, cards: [] },
  expectedEndAtMs: null,
  leaseExpiresAtMs: 40_000,
  releasedAtMs: null,
};

const sent = (times = { nowMs: 10_500, reservedAtMs: 10_000 }, fields: Partial<Reservation> = {}): wire.Reservation =>
  wire.Reservation.decode(wire.Reservation.encode(reservationToWire({ ...reservation, ...fields }, times)).finish());

describe("reservation", () => {
  it("tells the lease as the time left, by one clock", () => {
    expect(reservationFromWire(sent())).toEqual({
      kind: "ok",
      value: {
        attemptId,
        agentId,
        fence: 3,
        amounts: reservation.reserved,
        state: "unconfirmed",
        leaseLeftMs: 29_500,
        reservedAtMs: 10_000,
      },
    });
    expect(reservationFromWire(sent({ nowMs: 50_000, reservedAtMs: 10_000 }))).toMatchObject({
      value: { leaseLeftMs: 0 },
    });
    const confirmed = sent(undefined, { state: "confirmed", leaseExpiresAtMs: null });
    expect(reservationFromWire(confirmed)).toMatchObject({ value: { leaseLeftMs: null, state: "confirmed" } });
  });

  it("reads what is asked for", () => {
    const needs = normalizeNeeds({ memoryMib: 5 });
    const reserve = wire.Reserve.fromPartial({
      attemptId: attemptId.toUpperCase(),
      fence: 1,
      needs: needsToWire(needs),
      avoidAgentIds: [agentId.toUpperCase()],
      expectedDuration: { seconds: 90, nanos: 0 },
    });
    expect(reserveFromWire(reserve)).toEqual({
      kind: "ok",
      value: {
        attemptId,
        fence: 1,
        needs,
        avoidAgentIds: new Set([agentId]),
        kind: "attempt",
        expectedDurationMs: 90_000,
        taskId: "",
        planId: "",
        group: "",
      },
    });
    expect(reserveFromWire({ ...reserve, kind: wire.ReservationKind.UNRECOGNIZED }, "reservations[2]")).toMatchObject({
      kind: "invalid",
      field: "reservations[2].kind",
    });
  });

  it("reads every outcome", () => {
    const read = (outcome: wire.ReserveResult["outcome"]) => reserveResultFromWire({ attemptId, outcome });
    expect(read({ $case: "reserved", value: sent() })).toMatchObject({ value: { kind: "reserved", attemptId } });
    const noRoom = wire.CapacityExplanation.fromPartial({ verdict: wire.FleetVerdict.FLEET_VERDICT_NO_AGENT_ONLINE });
    expect(read({ $case: "noRoom", value: noRoom })).toMatchObject({
      value: { kind: "no_room", explanation: { reason: "NO_AGENT_ONLINE" } },
    });
    expect(read({ $case: "staleFence", value: { currentFence: 9 } })).toMatchObject({
      value: { kind: "stale_fence", currentFence: 9 },
    });
    expect(read({ $case: "conflict", value: { sentence: "why", released: true } })).toMatchObject({
      value: { kind: "conflict", released: true, sentence: "why" },
    });
    expect(read(undefined)).toMatchObject({ kind: "invalid", field: "result" });
  });

  it("keeps a command as it was", () => {
    const command = { argv: ["sh", "-c", "true"], env: { A: "1" }, workingDir: null };
    expect(commandFromWire(commandToWire(command))).toEqual(command);
    expect(commandFromWire(commandToWire({ ...command, workingDir: "/srv" })).workingDir).toBe("/srv");
  });
});
