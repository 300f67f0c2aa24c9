import { describe, expect, it } from "vitest";
import { type CardFacts, MachineKinds, type MachineFacts } from "./machine-kinds.ts";

const cardOf = (totalMib: number): CardFacts => ({
  model: "m",
  totalMib,
  freeMib: totalMib,
  sharedMemory: false,
  canBeWhole: true,
});

const machineOf = (cpuTotalMillicores: number, ...cardsMib: readonly number[]): MachineFacts => ({
  cpuTotalMillicores,
  memoryTotalMib: 1_024,
  cpuMillicores: 0,
  memoryMib: 0,
  cards: cardsMib.map(cardOf),
});

describe("kinds of machines", () => {
  it("two machines of one kind share one object", () => {
    const kinds = new MachineKinds();
    const [one, other] = [kinds.machineOf(machineOf(1, 8, 16)), kinds.machineOf(machineOf(1, 16, 8))];
    expect(other.state.kind).toBe(one.state.kind);
  });

  it("are forgotten when ten thousand others were asked for since, and no kind that is asked for again is", () => {
    const kinds = new MachineKinds();
    const [idle, asked] = [machineOf(1, 1), machineOf(2, 2)];
    const [idleKind, askedKind] = [kinds.machineOf(idle).state.kind, kinds.machineOf(asked).state.kind];
    for (let more = 10; more < 10_010; more += 1) {
      kinds.machineOf(machineOf(more, more));
      kinds.machineOf(asked);
    }
    expect(kinds.machineOf(asked).state.kind).toBe(askedKind);
    const again = kinds.machineOf(idle).state.kind;
    expect(again).toEqual(idleKind);
    expect(again).not.toBe(idleKind);
    expect(again.cardClasses[0]).not.toBe(idleKind.cardClasses[0]);
  });

  it("the cards of one machine are of one class by its object, whatever is forgotten", () => {
    const kinds = new MachineKinds();
    for (let machine = 0; machine < 300; machine += 1) {
      const cardsMib = Array.from({ length: 64 }, (_, card) => 1 + machine * 64 + card);
      const { cardClasses } = kinds.machineOf(machineOf(1, ...cardsMib, ...cardsMib)).state.kind;
      expect(new Set(cardClasses).size).toBe(64);
    }
  });

  it("a machine that stays of its kind keeps it after it is forgotten", () => {
    const kinds = new MachineKinds();
    const before = kinds.machineOf(machineOf(1, 1));
    for (let more = 10; more < 10_020; more += 1) kinds.machineOf(machineOf(more));
    expect(kinds.machineOf(machineOf(1, 1), before).state.kind).toBe(before.state.kind);
  });
});
