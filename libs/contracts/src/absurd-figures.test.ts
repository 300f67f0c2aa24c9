/** Whoever reads of a whole fleet must not lose it for what one agent says. */
import { describe, expect, it } from "vitest";
import { amountsFromWire } from "./amounts.ts";
import { agentCapacityFromWire } from "./capacity-figures.ts";
import * as wire from "./gen/index.ts";
import { reservationFromWire } from "./reservation.ts";
import { MAX_UNITS } from "./units.ts";

const absurd = [
  [MAX_UNITS, MAX_UNITS],
  [Number.MAX_VALUE, MAX_UNITS],
  [Number.POSITIVE_INFINITY, MAX_UNITS],
  [-1, 0],
  [Number.NaN, 0],
] as const;

describe("figures that no machine has", () => {
  it.each(absurd)("R-PAUSE-9: a capacity of %s is read as one of %s units", (amount, units) => {
    const figure = { total: units, ceiling: units, free: units };
    const capacity = wire.AgentCapacity.fromPartial({
      status: wire.AgentStatus.AGENT_STATUS_ONLINE,
      agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
      cpuCoresPhysical: amount,
      cpuCoresAvailable: amount,
      memoryTotalGb: amount,
      memoryAvailableGb: amount,
      gpuVramTotalGb: amount,
      gpuVramAvailableGb: amount,
      offered: { cpuCores: amount, memoryGb: amount, gpuVramGb: amount },
      reserved: { cpuCores: amount },
      gpus: [{ vramTotalGb: amount, vramAvailableGb: amount }],
    });
    expect(agentCapacityFromWire(capacity)).toMatchObject({
      kind: "ok",
      value: {
        cpu: figure,
        memory: figure,
        vram: figure,
        cpuReservedMillicores: units,
        cards: [{ vramTotalMib: units, vramFreeMib: units }],
      },
    });
  });

  it.each(absurd)("amounts of %s, also of a promise, are read as %s units", (amount, units) => {
    const amounts = { cpuCores: amount, memoryGb: amount, cards: [{ cardId: "gpu-0", vramGb: amount }] };
    const told = wire.Reservation.fromPartial({ state: wire.ReservationState.RESERVATION_STATE_ADOPTED, amounts });
    const read = {
      cpuMillicores: units,
      memoryMib: units,
      cards: [{ cardId: "gpu-0", vramMib: units, exclusive: false }],
    };
    expect(amountsFromWire(told.amounts)).toEqual(read);
    expect(reservationFromWire(told)).toMatchObject({ kind: "ok", value: { amounts: read } });
  });
});
