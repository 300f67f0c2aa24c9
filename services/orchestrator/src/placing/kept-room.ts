/** Agents that are kept for tasks too large for what is free, as this replica knows it: placing heeds them, the resume loop gives and ends them. */
import { wire } from "@headroom/contracts";
import type { Clock, Logger } from "@headroom/runtime";
import {
  chooseForHold,
  type HoldCandidate,
  type HoldPlace,
  type HoldRules,
  isInForce,
  makeHold,
  mayUseKept,
  type Needs,
  type RoomHold,
} from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { RegistryPort } from "../registry/port.ts";
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
const maxShapes = 10_000;

export function createKeptRoom(options: KeptRoomOptions): KeptRoom {
  const { store, clock, logger, rules } = options;
  let holds: readonly RoomHold[] = [];
  let readAtMs = clock.monotonic();
  const assignedAtMs = new Map<string, number>();

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
      const candidates = heads.map((head): HoldCandidate => ({ ...head, overtaken: isOvertaken(head) }));
      const chosen = chooseForHold(candidates, current(), agentsOnline, rules);
      const head = heads.find(({ taskId }) => taskId === chosen?.taskId);
      if (head === undefined) return;
      const hold = makeHold(head, await placesFor(options, head.needs), current(), rules);
      if (hold === null) return;
      const sentence = sentenceOf(hold);
      if (!(await store.keepRoom(hold, sentence))) return;
      logger.info(
        { task_id: hold.taskId, agent_id: hold.agentId, lasts_ms: hold.lastsMs, times: hold.times },
        sentence,
      );
      await read();
    },
  };
}

const AMOUNTS: ReadonlySet<wire.MissCode> = new Set([
  wire.MissCode.MISS_CODE_NOT_ENOUGH_CPU,
  wire.MissCode.MISS_CODE_NOT_ENOUGH_MEMORY,
  wire.MissCode.MISS_CODE_NOT_ENOUGH_VRAM,
  wire.MissCode.MISS_CODE_CARD_NOT_EXCLUSIVE,
]);

/** Where the room is gathered soonest by what is known of running work; then the nearest misses, of which the ends are unknown. */
async function placesFor({ registry, clock }: KeptRoomOptions, needs: Needs): Promise<readonly HoldPlace[]> {
  const { explanation, roomAtMs, roomOnAgentId } = await registry.explain(needs, maxPlaces);
  const known =
    roomAtMs === null || roomOnAgentId === null
      ? []
      : [{ agentId: roomOnAgentId, roomInMs: Math.max(0, roomAtMs - clock.now()) }];
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
