/** Agents that are kept for tasks too large for what is free, as this replica knows it: placing heeds them, the resume loop gives and ends them. */
import { wire } from "@headroom/contracts";
import type { Clock, Logger } from "@headroom/runtime";
import {
  dueForHold,
  type HoldPlace,
  type HoldRules,
  isInForce,
  makeHold,
  mayUseKept,
  mostHolds,
  mostPromising,
  type Needs,
  type RoomHold,
} from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { CapacityAnswer, RegistryPort } from "../registry/port.ts";
import { PlanLockedError } from "../store/plan-locked.ts";
import type { OrchestratorStore } from "../store/port.ts";

interface Asking {
  readonly taskId: string;
  readonly expectedDurationMs: number | null;
}

/** A head that was refused in this pass, or that the gate holds because the fleet is busy. */
export interface RefusedHead {
  readonly taskId: string;
  readonly shapeKey: string;
  readonly rank: number;
  readonly waitedMs: number;
  readonly needs: Needs;
}

export interface KeptRoom {
  /** Agents that the task must not be placed on now. */
  avoidedBy(task: Asking): ReadonlySet<string>;
  /** The same with the reason: whom they are kept for, and for how long at most. */
  keptFrom(task: Asking): readonly RoomHold[];
  /** This work was given room: what was kept for it is everybody's again, and what waits was overtaken by it. */
  noteAssigned(task: { readonly taskId: string; readonly shapeKey: string }): void;
  /** Whether an agent is kept for anybody, as far as is known here. */
  isAnyInForce(): boolean;
  /** Until the first agent is kept no more; null when none is. No event tells of it: the room has been there all the time. */
  endsInMs(): number | null;
  /** Called when an agent begins to be kept, or is kept no more because the task that it was kept for has been given room. Returns how to leave. */
  onChange(listener: (change: "begun" | "served") => void): () => void;
  /** Reads what other replicas have given, and ends what is over. */
  refresh(): Promise<void>;
  /** Keeps an agent for the first of these that has waited too long while others were served, if the rules allow. */
  keepFor(heads: readonly RefusedHead[]): Promise<void>;
}

export interface KeptRoomOptions {
  readonly store: Pick<OrchestratorStore, "roomHolds" | "keepRoom" | "endRoomHolds">;
  readonly registry: Pick<RegistryPort, "explain">;
  readonly fleet: Pick<FleetView, "snapshot" | "takesWork">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rules: HoldRules;
}

/** The nearest misses among which a place is looked for, and so many more after each hold in vain: all of these may be hopeless. */
const placesAtFirst = 32;
const mostPlaces = 256;
/** Tasks for which a place is looked for at once; each is a question to the registry. */
const maxAsked = 32;
const maxShapes = 10_000;
/** What fits needs no room to be gathered: it waits for the gate, or its turn has come. It is asked about again after so long. */
const fitsForMs = 30_000;
/** So is that of which each place is kept for others: some thirty such at the front of the queue would have all the questions for themselves. */
const allKeptForMs = 30_000;
/**
 * An agent that has taken no work for so long (its lid was closed, its owner holds it, it is cordoned) is kept for nobody any more: the room has to be
 * gathered elsewhere. Longer than a connection that breaks, and than a restart of its services.
 */
const awayForMs = 30_000;

/** Work of one kind that was given room last. */
interface Served {
  readonly shapeKey: string;
  readonly atMs: number;
}

export function createKeptRoom(options: KeptRoomOptions): KeptRoom {
  const { store, clock, logger, rules } = options;
  let holds: readonly RoomHold[] = [];
  let readAtMs = clock.monotonic();
  const listeners = new Set<(change: "begun" | "served") => void>();
  /** The last that was given room, and the last of any other kind. */
  let served: readonly Served[] = [];
  /** Since when kept agents have taken no work. */
  const awaySinceMs = new Map<string, number>();
  /** Shapes that are not asked about for a while, so that others have their turn, and until when. */
  const passedUntilMs = new Map<string, number>();

  /** Their times go on between two looks at the store. */
  function current(): readonly RoomHold[] {
    const agoMs = clock.monotonic() - readAtMs;
    return holds.map((hold) => ({
      ...hold,
      leftMs: hold.leftMs - agoMs,
      readyInMs: hold.readyInMs === null ? null : hold.readyInMs - agoMs,
    }));
  }

  async function read(): Promise<void> {
    const nameOf = ({ taskId, agentId, times }: RoomHold): string => `${taskId} ${agentId} ${times}`;
    const before = new Set(current().filter(isInForce).map(nameOf));
    holds = await store.roomHolds();
    readAtMs = clock.monotonic();
    if (holds.some((hold) => isInForce(hold) && !before.has(nameOf(hold)))) tell("begun");
  }

  function tell(change: "begun" | "served"): void {
    for (const listener of listeners) listener(change);
  }

  function keptFrom(task: Asking): readonly RoomHold[] {
    return current().filter((hold) => isInForce(hold) && !mayUseKept(hold, task));
  }

  function isOvertaken({ shapeKey, waitedMs }: RefusedHead): boolean {
    const sinceMs = clock.monotonic() - waitedMs;
    return served.some((other) => other.shapeKey !== shapeKey && other.atMs >= sinceMs);
  }

  /** Kept agents that have taken no work for a while, as far as the fleet is known. */
  function longAway(): readonly string[] {
    const nowMs = clock.monotonic();
    const kept = new Set(
      current()
        .filter(isInForce)
        .map(({ agentId }) => agentId),
    );
    for (const agentId of awaySinceMs.keys()) if (!kept.has(agentId)) awaySinceMs.delete(agentId);
    for (const agentId of kept) {
      const takesWork = options.fleet.takesWork(agentId);
      if (takesWork !== false) awaySinceMs.delete(agentId);
      else if (!awaySinceMs.has(agentId)) awaySinceMs.set(agentId, nowMs);
    }
    return [...awaySinceMs].filter(([, sinceMs]) => nowMs - sinceMs >= awayForMs).map(([agentId]) => agentId);
  }

  function isPassed(shapeKey: string): boolean {
    return (passedUntilMs.get(shapeKey) ?? 0) > clock.monotonic();
  }

  function pass(shapeKey: string, forMs: number): void {
    passedUntilMs.delete(shapeKey);
    const oldest = passedUntilMs.size >= maxShapes ? passedUntilMs.keys().next().value : undefined;
    if (oldest !== undefined) passedUntilMs.delete(oldest);
    passedUntilMs.set(shapeKey, clock.monotonic() + forMs);
  }

  /** False: somebody keeps its plan locked. */
  async function keep(hold: RoomHold, atMost: number): Promise<boolean> {
    const sentence = sentenceOf(hold);
    try {
      if (!(await store.keepRoom(hold, sentence, atMost))) return true;
    } catch (error) {
      if (!(error instanceof PlanLockedError)) throw error;
      logger.debug({ err: error, task_id: hold.taskId }, "no room is kept for a task of a plan that is locked");
      return false;
    }
    logger.info({ task_id: hold.taskId, agent_id: hold.agentId, lasts_ms: hold.lastsMs, times: hold.times }, sentence);
    await read();
    return true;
  }

  return {
    avoidedBy: (task) => new Set(keptFrom(task).map(({ agentId }) => agentId)),
    keptFrom,
    noteAssigned({ taskId, shapeKey }) {
      served = [{ shapeKey, atMs: clock.monotonic() }, ...served.filter((other) => other.shapeKey !== shapeKey)].slice(
        0,
        2,
      );
      const wasKept = current().some((hold) => hold.taskId === taskId && isInForce(hold));
      holds = holds.filter((hold) => hold.taskId !== taskId);
      if (wasKept) tell("served");
    },
    isAnyInForce: () => current().some(isInForce),
    endsInMs() {
      const left = current()
        .filter(isInForce)
        .map(({ leftMs }) => leftMs);
      return left.length === 0 ? null : Math.min(...left);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async refresh() {
      const away = longAway();
      for (const { agentId, taskId } of current()) {
        if (!away.includes(agentId)) continue;
        const fields = { task_id: taskId, agent_id: agentId };
        logger.info(fields, "an agent that takes no work is kept for a task no longer; another one may be");
      }
      if (holds.length > 0) await store.endRoomHolds(away);
      await read();
    },
    async keepFor(heads) {
      const fleet = options.fleet.snapshot();
      if (fleet.kind === "down" || heads.length === 0) return;
      const { agentsOnline } = fleet.verdict(null);
      const candidates = heads
        .filter(({ shapeKey }) => !isPassed(shapeKey))
        .map((head) => ({ ...head, overtaken: isOvertaken(head) }));
      for (const head of dueForHold(candidates, current(), agentsOnline, rules).slice(0, maxAsked)) {
        const setAside = keptFrom({ taskId: head.taskId, expectedDurationMs: null });
        const times = 1 + (current().find(({ taskId }) => taskId === head.taskId)?.times ?? 0);
        const places = await placesFor(options, head.needs, new Set(setAside.map(({ agentId }) => agentId)), times);
        if (places === "unknown") return;
        if (places === "fits") {
          pass(head.shapeKey, fitsForMs);
          continue;
        }
        const hold = makeHold(head, places, current(), rules);
        if (hold === null) {
          // It is pinned to a machine that is off, say; or each place is kept already, for a while.
          pass(head.shapeKey, places.length === 0 ? rules.firstMs : allKeptForMs);
          continue;
        }
        // One that waited for a lock has taken long enough.
        if (!(await keep(hold, mostHolds(agentsOnline, rules)))) pass(head.shapeKey, rules.firstMs);
        return;
      }
    },
  };
}

const AMOUNTS: ReadonlySet<wire.MissCode> = new Set([
  wire.MissCode.MISS_CODE_NOT_ENOUGH_CPU,
  wire.MissCode.MISS_CODE_NOT_ENOUGH_MEMORY,
  wire.MissCode.MISS_CODE_NOT_ENOUGH_VRAM,
  wire.MissCode.MISS_CODE_CARD_NOT_EXCLUSIVE,
]);

/** Where the room may be gathered. Unknown: the registry cannot be asked, and no room is kept for now. */
async function placesFor(
  { registry, logger }: KeptRoomOptions,
  needs: Needs,
  keptForOthers: ReadonlySet<string>,
  times: number,
): Promise<readonly HoldPlace[] | "fits" | "unknown"> {
  const wanted = Math.min(mostPlaces, placesAtFirst * times);
  let answer: CapacityAnswer;
  try {
    answer = await registry.explain(needs, wanted + keptForOthers.size);
  } catch (error) {
    logger.warn({ err: error }, "the registry could not be asked where room might be kept for a task that waits");
    return "unknown";
  }
  const { explanation, roomInMs, roomOnAgentId } = answer;
  // The registry knows nothing of agents that are kept.
  if (explanation.agents.some(({ fits, agentId }) => fits && !keptForOthers.has(agentId))) return "fits";
  const nearest = explanation.agents
    .filter(({ fits, never, misses }) => !fits && !never && misses.every(({ code }) => AMOUNTS.has(code)))
    .map(({ agentId }) => agentId);
  return mostPromising(roomOnAgentId === null ? null : { agentId: roomOnAgentId, roomInMs }, nearest);
}

function sentenceOf({ agentId, readyInMs, lastsMs }: RoomHold): string {
  const until = `for at most ${Math.round(lastsMs / 1_000)} s`;
  const expected = readyInMs === null ? "" : `, expected in ${Math.round(readyInMs / 1_000)} s`;
  return `Room on agent ${agentId.slice(0, 8)} is kept for it ${until}${expected}.`;
}
