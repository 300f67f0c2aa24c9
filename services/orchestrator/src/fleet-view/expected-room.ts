import type { AgentCapacityFigures } from "@headroom/contracts";
import type { Clock } from "@headroom/runtime";
import type { Amounts } from "@headroom/scheduling";

/**
 * Room that is on its way back: its attempt has ended, the registry is being told so, and its watch has not said yet that the room is
 * there. Whoever counts on it saves the time of that news, and is refused by the registry at worst.
 */
export interface ExpectedRoom {
  add(agentId: string, amounts: Amounts): void;
  /** The registry has told how it is on this agent. */
  told(agentId: string): void;
  clear(): void;
  readonly isAny: boolean;
  /** The agent as it will be. */
  with(agent: AgentCapacityFigures): AgentCapacityFigures;
  /** Whether what the registry tells of an agent holds no more room than what was known of it and expected. */
  covers(known: AgentCapacityFigures | undefined, told: AgentCapacityFigures): boolean;
}

/** What has not been told of for so long, ms, is not coming: it had been released before, or the registry is away. */
const expectedForMs = 1_000;

export function createExpectedRoom(clock: Clock): ExpectedRoom {
  const expected = new Map<string, { readonly amounts: Amounts; readonly untilMs: number }[]>();

  function current(agentId: string): readonly { readonly amounts: Amounts }[] {
    const known = expected.get(agentId);
    if (known === undefined) return [];
    const nowMs = clock.monotonic();
    const left = known.filter(({ untilMs }) => untilMs > nowMs);
    if (left.length === 0) expected.delete(agentId);
    else if (left.length < known.length) expected.set(agentId, left);
    return left;
  }

  const withExpected = (agent: AgentCapacityFigures): AgentCapacityFigures =>
    current(agent.agentId).reduce((sum, { amounts }) => withRoomBack(sum, amounts), agent);

  return {
    add(agentId, amounts) {
      const one = { amounts, untilMs: clock.monotonic() + expectedForMs };
      const known = expected.get(agentId);
      if (known === undefined) expected.set(agentId, [one]);
      else known.push(one);
    },
    told: (agentId) => void expected.delete(agentId),
    clear: () => expected.clear(),
    get isAny() {
      return [...expected.keys()].some((agentId) => current(agentId).length > 0);
    },
    with: withExpected,
    covers(known, told) {
      if (known === undefined || current(told.agentId).length === 0) return false;
      return isWithin(told, withExpected(known));
    },
  };
}

/** Whether nothing fits on `one` that does not on `other`. */
function isWithin(one: AgentCapacityFigures, other: AgentCapacityFigures): boolean {
  const cards = new Map(other.cards.map((card) => [card.cardId, card]));
  return (
    isSameKind(one, other) &&
    one.cpu.free <= other.cpu.free &&
    one.memory.free <= other.memory.free &&
    one.cards.every((card) => {
      const than = cards.get(card.cardId);
      return than !== undefined && card.vramFreeMib <= than.vramFreeMib && (card.exclusive || !than.exclusive);
    })
  );
}

/** Of which room says nothing. */
function isSameKind(one: AgentCapacityFigures, other: AgentCapacityFigures): boolean {
  return (
    one.status === other.status &&
    one.attached === other.attached &&
    one.cordoned === other.cordoned &&
    one.draining === other.draining &&
    one.ownerHold === other.ownerHold &&
    one.poolName === other.poolName &&
    JSON.stringify(one.labels) === JSON.stringify(other.labels)
  );
}

function withRoomBack(agent: AgentCapacityFigures, { cpuMillicores, memoryMib, cards }: Amounts): AgentCapacityFigures {
  const ofCard = new Map(cards.map((card) => [card.cardId, card]));
  const vramMib = cards.reduce((sum, card) => sum + card.vramMib, 0);
  return {
    ...agent,
    cpu: moreFree(agent.cpu, cpuMillicores),
    memory: moreFree(agent.memory, memoryMib),
    vram: moreFree(agent.vram, vramMib),
    cards: agent.cards.map((card) => {
      const back = ofCard.get(card.cardId);
      if (back === undefined) return card;
      const vramFreeMib = Math.min(card.vramTotalMib, card.vramFreeMib + back.vramMib);
      return { ...card, vramFreeMib, exclusive: card.exclusive && !back.exclusive };
    }),
  };
}

function moreFree(figure: AgentCapacityFigures["cpu"], amount: number): AgentCapacityFigures["cpu"] {
  return { ...figure, free: Math.min(figure.ceiling, figure.free + amount) };
}
