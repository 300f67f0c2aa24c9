import type { Amounts, CardAmount, Needs } from "@headroom/scheduling";
import { holds, promisesByAgent } from "./check-room.ts";
import type { Facts, MachineFact, ReservationChange, Violation } from "./facts.ts";

/** What is told of the fleet comes so much later, at most; and one look at it is good for all that is placed in one turn. */
const toldWithinMs = 15_000;
/** The copy of a call that has waited somewhere is heard that much later. */
const copiedWithinMs = 15_000;
const writtenWithinMs = 5_000;
/** Another replica may count on an agent that much longer: its view is 1 s old at most, and 6 s after a replica's death. */
const seenWithinMs = 6_000;

/** The founding rule, written again: a machine of which so much is promised is not below the threshold for a task. */
export function isAboveThreshold(
  machine: MachineFact,
  promised: { readonly cpuMillicores: number; readonly vramMib: number },
  threshold: number,
  { gpuCount }: Pick<Needs, "gpuCount">,
): boolean {
  if (machine.cpuMillicores - promised.cpuMillicores < threshold * machine.cpuMillicores) return false;
  if (gpuCount === 0) return true;
  const vramMib = machine.cards.reduce((sum, card) => sum + card.vramMib, 0);
  return vramMib > 0 && vramMib - promised.vramMib >= threshold * vramMib;
}

/** A card that is promised whole has nothing left. */
function vramOf({ cards }: MachineFact, { cardId, vramMib, exclusive }: CardAmount): number {
  return exclusive ? (cards.find((card) => card.cardId === cardId)?.vramMib ?? vramMib) : vramMib;
}

interface Fleet {
  /** Until when each agent may be counted on: `Infinity` while it is online. */
  readonly onlineUntilMs: Map<string, number>;
  readonly promised: Map<string, Map<string, Amounts>>;
}

/** What the gate is asked about: work with a card needs an agent that is above in both. */
const kinds = ["cpu", "gpu"] as const;

/**
 * V18: nothing new is given out while every agent that is online has been below the threshold for a while, in CPU and, for work with a card, in VRAM.
 * Only what is promised is looked at: what is used besides makes less of it.
 */
export function checkGate(facts: Facts): readonly Violation[] {
  const { threshold = 0, machines, silences = [] } = facts;
  if (threshold === 0) return [];
  const violations: Violation[] = [];
  const changes = gateChanges(facts);
  const fleet: Fleet = { onlineUntilMs: new Map(), promised: new Map() };
  const known = new Set<string>();
  const openAtMs = { cpu: -Infinity, gpu: -Infinity };
  let sinceMs = -Infinity;
  for (const change of changes) {
    for (const kind of kinds) {
      const untilMs = openUntilMs(fleet, machines, threshold, kind);
      if (untilMs >= sinceMs) openAtMs[kind] = Math.min(untilMs, change.atMs);
    }
    sinceMs = change.atMs;
    if (change.row === "agent") {
      const { agentId, atMs, status } = change;
      if (status === "online") fleet.onlineUntilMs.set(agentId, Infinity);
      else if (fleet.onlineUntilMs.get(agentId) === Infinity) fleet.onlineUntilMs.set(agentId, atMs + seenWithinMs);
      continue;
    }
    const { attemptId, agentId, atMs } = change;
    const own = fleet.promised.get(agentId) ?? new Map<string, Amounts>();
    const kind = change.amounts.cards.length > 0 ? "gpu" : "cpu";
    fleet.promised.set(agentId, own);
    if (!holds(change)) own.delete(attemptId);
    else {
      const isNew = change.state === "unconfirmed" && !known.has(`${attemptId} ${agentId}`);
      known.add(`${attemptId} ${agentId}`);
      if (isNew && isClosedSince(openAtMs[kind], atMs, silences) && !isOnlineSoon(changes, atMs)) {
        const what = `at ${atMs} room on agent ${agentId} was promised to ${attemptId}; all that are online were below the threshold (${kind}) from ${openAtMs[kind]} on`;
        violations.push({ invariant: "V18", what });
      }
      own.set(attemptId, change.amounts);
    }
  }
  return violations;
}

/** By what a registry told last, which is believed for as long as it is not heard. */
function isClosedSince(openAtMs: number, atMs: number, silences: NonNullable<Facts["silences"]>): boolean {
  let believedMs = openAtMs;
  for (const { fromMs, toMs } of silences) {
    if (fromMs <= believedMs + toldWithinMs) believedMs = Math.max(believedMs, toMs);
  }
  return atMs - believedMs > toldWithinMs + copiedWithinMs;
}

/** The registry that hears of an agent gives its room at once, and writes it down a moment later. */
function isOnlineSoon(changes: readonly GateChange[], atMs: number): boolean {
  return changes.some(
    (change) =>
      change.row === "agent" &&
      change.status === "online" &&
      change.atMs >= atMs &&
      change.atMs - atMs <= writtenWithinMs,
  );
}

type GateChange = ReservationChange | Extract<Facts["changes"][number], { readonly row: "agent" }>;

function gateChanges({ changes }: Facts): readonly GateChange[] {
  const promises = [...promisesByAgent(changes).values()].flat();
  const liveness = changes.filter(
    (change): change is Extract<GateChange, { readonly row: "agent" }> =>
      change.row === "agent" && change.status !== null,
  );
  return [...promises, ...liveness].sort((one, other) => one.seq - other.seq);
}

/** Until when the gate is open by what is promised now: `-Infinity` where every agent is below the threshold. */
function openUntilMs(
  { onlineUntilMs, promised }: Fleet,
  machines: readonly MachineFact[],
  threshold: number,
  kind: (typeof kinds)[number],
): number {
  const open = machines.filter((machine) => {
    const own = [...(promised.get(machine.agentId)?.values() ?? [])];
    const cpuMillicores = own.reduce((sum, each) => sum + each.cpuMillicores, 0);
    const vramMib = own.flatMap(({ cards }) => cards).reduce((sum, card) => sum + vramOf(machine, card), 0);
    return isAboveThreshold(machine, { cpuMillicores, vramMib }, threshold, { gpuCount: kind === "gpu" ? 1 : 0 });
  });
  return Math.max(...open.map(({ agentId }) => onlineUntilMs.get(agentId) ?? -Infinity));
}
