import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { watchCapacityMethod } from "../queries/encoded-answers.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { watchMessages, type WatchPart } from "./watch-messages.ts";

const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

function told(fleet: Fleet, part: WatchPart): { bytes: number[]; messages: wire.WatchCapacityResponse[] } {
  const encoded = [...watchMessages(fleet, part, () => 5)].map(watchCapacityMethod.responseSerialize);
  return {
    bytes: encoded.map(({ length }) => length),
    messages: encoded.map((bytes) => wire.WatchCapacityResponse.decode(bytes)),
  };
}

describe("watchMessages", () => {
  it("DESIGN-3: a fleet of any size comes whole, in messages below the limit, with its revision at the end only", () => {
    const fleet = new Fleet("00000000-0000-4000-8000-0000000000ff");
    const agentIds = Array.from({ length: 10_000 }, (_, number) => idOf(number));
    for (const agentId of agentIds) fleet.put(agentWith({ agentId }));
    const part = { snapshot: true, roomAppeared: true, agentIds, from: null, to: fleet.revision };
    const { bytes, messages } = told(fleet, part);
    expect(messages.length).toBeGreaterThan(2);
    expect(Math.max(...bytes)).toBeLessThan(1_100_000);
    expect(messages.flatMap(({ agents }) => agents.map(({ agentId }) => agentId))).toEqual(agentIds);
    expect(messages.map(({ snapshot }) => snapshot)).toEqual(messages.map((_, index) => index === 0));
    expect(messages.map(({ more }) => more)).toEqual(messages.map((_, index) => index < messages.length - 1));
    expect(messages.at(-1)!.revision!.counter).toBe(10_000);
    expect(messages[0]!.revision!.counter).toBe(0);
  });

  it("an empty fleet is a snapshot too; agents that have gone are named", () => {
    const fleet = new Fleet("r");
    const to = fleet.revision;
    expect(told(fleet, { snapshot: true, roomAppeared: true, agentIds: [], from: null, to }).messages).toMatchObject([
      { snapshot: true, agents: [], more: false },
    ]);
    const gone = { snapshot: false, roomAppeared: false, agentIds: [idOf(1)], from: to, to };
    expect(told(fleet, gone).messages).toMatchObject([{ removedAgentIds: [idOf(1)], agents: [], more: false }]);
  });

  it("R-CAP-7: rows are what the codec would have written", () => {
    const fleet = new Fleet("r");
    fleet.put(agentWith({ labels: { site: "north" } }));
    const part = {
      snapshot: true,
      roomAppeared: true,
      agentIds: [agentWith().agentId],
      from: null,
      to: fleet.revision,
    };
    const [message] = told(fleet, part).messages;
    const again = wire.WatchCapacityResponse.decode(wire.WatchCapacityResponse.encode(message!).finish());
    expect(again).toEqual(message);
    expect(message!.agents[0]).toMatchObject({ hostname: "desk-1", labels: { site: "north" }, cpuCoresAvailable: 16 });
  });
});
