import { type AgentCapacityFigures, gateAgentFromFigures } from "@headroom/contracts";
import { Broadcast, jitter, lifecycle, type Logger, type ManagedService, type Ports, sleep } from "@headroom/runtime";
import { fleetRoomBound, type GateAgent, type Needs, type RoomFigures } from "@headroom/scheduling";
import type { FleetChange, FleetRevision, RegistryPort } from "../registry/port.ts";

/** The fleet as the registry last told it. */
export type FleetSnapshot =
  | { readonly kind: "up"; readonly gateAgents: readonly GateAgent[]; readonly revision: FleetRevision }
  | { readonly kind: "down"; readonly sentence: string };

export type FleetNews =
  | { readonly kind: "connected" }
  | { readonly kind: "disconnected" }
  /** `agentIds`: which changed; room has appeared on one of them at least. */
  | { readonly kind: "room_appeared"; readonly agentIds: readonly string[] };

/** Follows WatchCapacity for ever; the gate reads what it holds. */
export interface FleetView extends ManagedService {
  snapshot(): FleetSnapshot;
  /**
   * How many tasks with these needs there may be room for, at most `limit`: an upper bound, from what the watch has told.
   * `isMeant` leaves agents out.
   */
  roomFor(needs: Needs, limit: number, isMeant?: (agentId: string) => boolean): number;
  /**
   * Whether the watch has told of room that appeared after this revision. Another registry instance counts as newer: counters
   * of two processes say nothing of each other.
   */
  roomSince(revision: FleetRevision): boolean;
  /**
   * Asks for the agents that have room, and takes them for what they are now: for the poll, which must not depend on what the watch
   * has told, or has not. Throws when the registry cannot be asked.
   */
  refresh(): Promise<void>;
  /** Index of a card on its agent, as the driver counts; null when unknown. */
  cardIndex(agentId: string, cardId: string): number | null;
  /** Called at once with each piece of news. Returns how to leave. */
  onNews(listener: (news: FleetNews) => void): () => void;
}

export interface FleetViewOptions {
  readonly registry: RegistryPort;
  readonly ports: Ports;
  readonly logger: Logger;
}

/** What was asked for is older than whatever a watch tells. */
const askedFor: FleetRevision = { instance: "", counter: 0 };
const firstPauseMs = 200;
const longestPauseMs = 5_000;

export function createFleetView(options: FleetViewOptions): FleetView {
  const { registry, ports, logger } = options;
  const agents = new Map<string, AgentCapacityFigures>();
  const news = new Broadcast<FleetNews>({
    onListenerError: (error) => logger.error({ err: error }, "a listener of the fleet failed"),
  });
  let revision: FleetRevision | null = null;
  /** The newest state of the fleet in which there was more room than before. */
  let roomAt: FleetRevision | null = null;
  let trouble = "The registry has not answered yet.";
  let abort = new AbortController();
  let finished: Promise<void> = Promise.resolve();

  function apply(change: FleetChange): void {
    const wasDown = revision === null || revision === askedFor;
    if (change.snapshot) agents.clear();
    for (const agent of change.agents) agents.set(agent.agentId, agent);
    for (const agentId of change.removedAgentIds) agents.delete(agentId);
    revision = change.revision;
    if (wasDown || change.snapshot || change.roomAppeared) roomAt = change.revision;
    if (wasDown) {
      logger.info({ agents: agents.size, registry_instance: revision.instance }, "the registry is being watched");
      news.emit({ kind: "connected" });
    } else if (change.roomAppeared) {
      news.emit({ kind: "room_appeared", agentIds: change.agents.map(({ agentId }) => agentId) });
    }
  }

  function goDown(error: unknown): void {
    trouble = `The registry cannot be asked: ${error instanceof Error ? error.message : "the watch ended"}`;
    if (revision === askedFor) {
      revision = null;
      agents.clear();
    }
    if (revision === null) {
      logger.debug({ err: error }, "the registry is still not reachable");
      return;
    }
    revision = null;
    agents.clear();
    logger.warn({ err: error }, "the registry is not reachable: new work is accepted and waits");
    news.emit({ kind: "disconnected" });
  }

  async function follow(signal: AbortSignal): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!signal.aborted) {
      try {
        for await (const change of registry.watch(signal)) {
          apply(change);
          pauseMs = firstPauseMs;
        }
        goDown(undefined);
      } catch (error) {
        if (!signal.aborted) goDown(error);
      }
      await sleep(ports.timers, jitter(ports.random, pauseMs, 0.2), signal).catch(() => undefined);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  }

  const life = lifecycle({
    name: "fleet view",
    start() {
      abort = new AbortController();
      finished = follow(abort.signal);
    },
    stop() {
      abort.abort(new Error("the fleet view stops"));
      return finished;
    },
  });

  return {
    ...life,
    snapshot() {
      if (revision === null) return { kind: "down", sentence: trouble };
      const desktops = [...agents.values()].filter((agent) => agent.agentType === "desktop");
      return { kind: "up", gateAgents: desktops.map(gateAgentFromFigures), revision };
    },
    roomFor(needs, limit, isMeant = () => true) {
      const meant = [...agents.values()].filter(({ agentId }) => isMeant(agentId));
      return fleetRoomBound(meant.map(roomFigures), needs, limit);
    },
    roomSince: ({ instance, counter }) => roomAt !== null && (roomAt.instance !== instance || roomAt.counter > counter),
    async refresh() {
      const before = revision;
      const withRoom = await registry.withRoom();
      // The watch has told of something newer meanwhile.
      if (revision !== before) return;
      for (const agent of withRoom) agents.set(agent.agentId, agent);
      revision ??= askedFor;
    },
    cardIndex(agentId, cardId) {
      const known = agents.get(agentId)?.cards.find((card) => card.cardId === cardId)?.index;
      if (known !== undefined) return known;
      const counted = /^gpu-(\d{1,4})$/.exec(cardId)?.[1];
      return counted === undefined ? null : Number(counted);
    },
    onNews: (listener) => news.on(listener),
  };
}

function roomFigures(agent: AgentCapacityFigures): RoomFigures {
  const isKept = agent.cordoned || agent.draining || agent.ownerHold;
  return {
    agentId: agent.agentId,
    poolName: agent.poolName,
    labels: agent.labels,
    takesWork: agent.agentType === "desktop" && agent.status === "online" && agent.attached && !isKept,
    cpuFreeMillicores: agent.cpu.free,
    memoryFreeMib: agent.memory.free,
    cards: agent.cards,
  };
}
