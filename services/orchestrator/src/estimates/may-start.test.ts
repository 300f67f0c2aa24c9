import { wire } from "@headroom/contracts";
import { expect, it } from "vitest";
import type { GateAnswer } from "../placing/gate.ts";
import { roomAhead } from "./may-start.ts";

const { FleetVerdict, MissCode } = wire;
const verdict = {
  threshold: 0.2,
  agentsOnline: 1,
  agentsBelow: 0,
  averageCpuFreePercent: 50,
  averageGpuFreePercent: null,
  pause: false,
  reason: null,
};
const open: GateAnswer = { kind: "open", verdict };
const shut = (reason: "FLEET_BELOW_THRESHOLD" | "NO_AGENT_ONLINE" | "REGISTRY_UNAVAILABLE"): GateAnswer => ({
  kind: "held",
  reason,
  sentence: "",
  verdict,
});
const cannot = { kind: "nothing_can_start" };
const { FLEET_VERDICT_FITS: fits, FLEET_VERDICT_NOT_NOW: notNow } = FleetVerdict;
const fitting = { fits: true };
const lacking = (...codes: wire.MissCode[]) => ({ misses: codes.map((code) => ({ code })) });

it.each<[string, wire.FleetVerdict, readonly object[], GateAnswer, object]>([
  ["there is room", fits, [fitting], open, { kind: "expected", inMs: 0 }],
  ["room is missing", notNow, [lacking(MissCode.MISS_CODE_NOT_ENOUGH_CPU)], open, { kind: "expected", inMs: 60_000 }],
  ["probation passes", notNow, [lacking(MissCode.MISS_CODE_ON_PROBATION)], open, { kind: "expected", inMs: 60_000 }],
  ["room behind the gate", fits, [fitting], shut("FLEET_BELOW_THRESHOLD"), { kind: "expected", inMs: null }],
  ["nobody is online", fits, [fitting], shut("NO_AGENT_ONLINE"), cannot],
  ["the registry is away", fits, [fitting], shut("REGISTRY_UNAVAILABLE"), cannot],
  ["no agent", notNow, [], open, cannot],
  ["offline", notNow, [lacking(MissCode.MISS_CODE_NOT_ONLINE)], open, cannot],
  ["no stream", notNow, [lacking(MissCode.MISS_CODE_NOT_ATTACHED)], open, cannot],
  [
    "cordoned, and full",
    notNow,
    [lacking(MissCode.MISS_CODE_NOT_ENOUGH_CPU, MissCode.MISS_CODE_CORDONED)],
    open,
    cannot,
  ],
  ["draining", notNow, [lacking(MissCode.MISS_CODE_DRAINING)], open, cannot],
  ["its owner's", notNow, [lacking(MissCode.MISS_CODE_OWNER_HOLD)], open, cannot],
  [
    "one is cordoned, another only full",
    notNow,
    [lacking(MissCode.MISS_CODE_CORDONED), lacking(MissCode.MISS_CODE_NOT_ENOUGH_CPU)],
    open,
    { kind: "expected", inMs: 60_000 },
  ],
  ["the other never fits", notNow, [lacking(MissCode.MISS_CODE_CORDONED), { never: true }], open, cannot],
])("expects a start only where one is possible: %s", (_, fleet, agents, gate, ahead) => {
  const explanation = wire.CapacityExplanation.fromPartial({ verdict: fleet, agents: [...agents] });
  expect(roomAhead({ explanation, roomInMs: 60_000, roomOnAgentId: null }, gate)).toEqual(ahead);
});
