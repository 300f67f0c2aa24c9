/** Machines for tests: sensible where a test says nothing. Nothing of it is exported by the package. */
import { agentView, type AgentFacts, type AgentView } from "./agent-view.ts";
import type { HeldRoom } from "./capacity.ts";
import { agentFacts, CardHistory, MachineKinds, RulePolicy, RULES, StateSlots, TaskMix } from "./placement/index.ts";
import type { Amounts, AttemptUse, Card, Dimension, Sample } from "./resources.ts";

export const GIB = 1024;

/** A dimension of which nothing is in use and all is offered. */
export function dimension(total: number, fields: Partial<Dimension> = {}): Dimension {
  return { total, available: total, offer: total, declared: false, ...fields };
}

/** A card of 8 GiB of which nothing is in use and all is offered. */
export function card(index: number, fields: Partial<Card> = {}): Card {
  const vramTotalMib = fields.vramTotalMib ?? 8 * GIB;
  return {
    cardId: `card-${index}`,
    index,
    model: "NVIDIA RTX 4070",
    vramTotalMib,
    vramAvailableMib: vramTotalMib,
    vramOfferMib: vramTotalMib,
    declared: false,
    sharedMemory: false,
    ...fields,
  };
}

/** 8 cores, 32 GiB, no card, idle. */
export function sample(fields: Partial<Sample> = {}): Sample {
  return {
    sampledAtMs: 1_700_000_000_000,
    cpu: dimension(8_000),
    cpuLoadPercent: 0,
    memory: dimension(32 * GIB),
    cards: [],
    attempts: [],
    ...fields,
  };
}

export function amounts(fields: Partial<Amounts> = {}): Amounts {
  return { cpuMillicores: 0, memoryMib: 0, cards: [], ...fields };
}

export function held(attemptId: string, reserved: Partial<Amounts>, expectedEndAtMs: number | null = null): HeldRoom {
  return { attemptId, reserved: amounts(reserved), expectedEndAtMs };
}

export function use(attemptId: string, used: Partial<Amounts>): AttemptUse {
  return { attemptId, fence: 1, used: amounts(used) };
}

/** An online, attached desktop with an idle sample. */
export function desktop(agentId: string, fields: Partial<AgentFacts> = {}): AgentView {
  return agentView({
    agentId,
    agentType: "desktop",
    poolName: "default",
    labels: {},
    status: "online",
    attached: true,
    cordoned: false,
    draining: false,
    ownerHold: false,
    sample: sample(),
    reservations: [],
    ...fields,
  });
}

/** The placement policy of that name on this fleet, that has learned nothing yet. */
export function untaughtPolicy(name: string, fleet: readonly AgentView[] = []): RulePolicy {
  const maker = RULES.get(name);
  if (maker === undefined) throw new RangeError(`no placement policy is called ${name}`);
  const slots = new StateSlots();
  const kinds = new MachineKinds();
  for (const view of fleet) slots.put(view.agentId, kinds.machineOf(agentFacts(view)).state);
  return new RulePolicy(maker, { mix: new TaskMix(), history: new CardHistory() }, slots);
}
