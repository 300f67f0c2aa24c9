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

/** A head that was refused in this pass. */
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
  /** This work was given room: what was kept for it is everybody's again, and what waits was overtaken by it. */
  noteAssigned(task: { readonly taskId: string; readonly shapeKey: string }): void;
  /** Reads what other replicas have given, and ends what is over. */
  refresh(): Promise<void>;
  /** Keeps an agent for the first of these that has waited too long while others were served, if the rules allow. */
  keepFor(heads: readonly RefusedHead[]): Promise<void>;
}

export interface KeptRoomOptions {
  readonly store: Pick<OrchestratorStore, "roomHolds" | "keepRoom" | "endRoomHolds">;
  readonly registry: Pick<RegistryPort, "explain">;
  readonly fleet: Pick<FleetView, "snapshot">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rules: HoldRules;
}

/** The nearest misses among which a place is looked for. */
const maxPlaces = 32;
/** Tasks for which a place is looked for at once; each is a question to the registry. */
const maxAsked = 32;
const maxShapes = 10_000;

export function createKeptRoom(options: KeptRoomOptions): KeptRoom {
  const { store, clock, logger, rules } = options;
  let holds: readonly RoomHold[] = [];
  let readAtMs = clock.monotonic();
  const assignedAtMs = new Map<string, number>();
  /** Shapes of which no agent could be kept, as those that are pinned to a machine that is off: others have their turn for a while. */
  const nowhereAtMs = new Map<string, number>();

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
    holds = await store.roomHolds();
    readAtMs = clock.monotonic();
  }

  function isOvertaken({ shapeKey, waitedMs }: RefusedHead): boolean {
    const sinceMs = clock.monotonic() - waitedMs;
    return [...assignedAtMs].some(([key, atMs]) => key !== shapeKey && atMs >= sinceMs);
  }

  function isNowhere(shapeKey: string): boolean {
    const atMs = nowhereAtMs.get(shapeKey);
    return atMs !== undefined && clock.monotonic() - atMs < rules.firstMs;
  }

  function noteNowhere(shapeKey: string): void {
    nowhereAtMs.delete(shapeKey);
    const oldest = nowhereAtMs.size >= maxShapes ? nowhereAtMs.keys().next().value : undefined;
    if (oldest !== undefined) nowhereAtMs.delete(oldest);
    nowhereAtMs.set(shapeKey, clock.monotonic());
  }

  /** False: somebody keeps its plan locked. */
  async function keep(hold: RoomHold): Promise<boolean> {
    const sentence = sentenceOf(hold);
    try {
      if (!(await store.keepRoom(hold, sentence))) return true;
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
    avoidedBy(task) {
      const kept = current().filter((hold) => isInForce(hold) && !mayUseKept(hold, task));
      return new Set(kept.map(({ agentId }) => agentId));
    },
    noteAssigned({ taskId, shapeKey }) {
      holds = holds.filter((hold) => hold.taskId !== taskId);
      assignedAtMs.delete(shapeKey);
      const oldest = assignedAtMs.size >= maxShapes ? assignedAtMs.keys().next().value : undefined;
      if (oldest !== undefined) assignedAtMs.delete(oldest);
      assignedAtMs.set(shapeKey, clock.monotonic());
    },
    async refresh() {
      if (holds.length > 0) await store.endRoomHolds();
      await read();
    },
    async keepFor(heads) {
      const fleet = options.fleet.snapshot();
      if (fleet.kind === "down" || heads.length === 0) return;
      const { agentsOnline } = fleet.verdict(null);
      const candidates = heads
        .filter(({ shapeKey }) => !isNowhere(shapeKey))
        .map((head) => ({ ...head, overtaken: isOvertaken(head) }));
      for (const head of dueForHold(candidates, current(), agentsOnline, rules).slice(0, maxAsked)) {
        const places = await placesFor(options, head.needs);
        if (places === null) return;
        if (places.length === 0) noteNowhere(head.shapeKey);
        const hold = makeHold(head, places, current(), rules);
        if (hold === null) continue;
        // One that waited for a lock has taken long enough.
        if (!(await keep(hold))) noteNowhere(head.shapeKey);
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

/**
 * Where the room is gathered soonest by what is known of running work; then the nearest misses, of which the ends are unknown. Null: the
 * registry cannot be asked, and no room is kept for now.
 */
async function placesFor({ registry, logger }: KeptRoomOptions, needs: Needs): Promise<readonly HoldPlace[] | null> {
  let answer: CapacityAnswer;
  try {
    answer = await registry.explain(needs, maxPlaces);
  } catch (error) {
    logger.warn({ err: error }, "the registry could not be asked where room might be kept for a task that waits");
    return null;
  }
  const { explanation, roomInMs, roomOnAgentId } = answer;
  const known = roomInMs === null || roomOnAgentId === null ? [] : [{ agentId: roomOnAgentId, roomInMs }];
  const nearest = explanation.agents
    .filter(({ fits, never, misses }) => !fits && !never && misses.every(({ code }) => AMOUNTS.has(code)))
    .map(({ agentId }) => ({ agentId, roomInMs: null }));
  return [...known, ...nearest.filter(({ agentId }) => agentId !== roomOnAgentId)];
}

function sentenceOf({ agentId, readyInMs, lastsMs }: RoomHold): string {
  const until = `for at most ${Math.round(lastsMs / 1_000)} s`;
  const expected = readyInMs === null ? "" : `, expected in ${Math.round(readyInMs / 1_000)} s`;
  return `Room on agent ${agentId.slice(0, 8)} is kept for it ${until}${expected}.`;
}
