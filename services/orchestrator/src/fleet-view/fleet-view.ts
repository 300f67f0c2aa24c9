import { Broadcast, jitter, lifecycle, type Logger, type ManagedService, type Ports, sleep } from "@headroom/runtime";
import type { Amounts, GateAgent, GateQuestion, GateSummary, MayHave, Needs, RoomDraft } from "@headroom/scheduling";
import type { FleetChange, FleetRevision, RegistryPort } from "../registry/port.ts";
import { isUnfit } from "../registry/refusal.ts";
import { WatchedAgents } from "./watched-agents.ts";

/** The fleet as the registry last told it, until it tells something newer. */
export type FleetSnapshot =
  | {
      readonly kind: "up";
      readonly revision: FleetRevision;
      /** The gate's word on such work; null: on anything that an agent has. */
      verdict(task: GateQuestion["task"]): GateSummary;
      /** What it rests on. */
      gateAgents(): readonly GateAgent[];
    }
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
  roomFor(needs: Needs, limit: number, isMeant?: MayHave): number;
  /** The same room, to be given away in thought. */
  draft(): RoomDraft;
  /** A count of what has been told of agents so far; see `promised`. */
  asOf(): number;
  /** A count of the agents that have come so far, or have changed in what they could ever take: what none could may fit then. */
  machines(): number;
  /**
   * The registry has promised room that it was asked for at `asOf`: it is nobody else's, though nothing may have been told of it yet. Only for
   * `roomFor` and `draft`, and until the next word of the agent, which holds it, or is so old that it would be taken for room: then it is refused.
   */
  promised(agentId: string, amounts: Amounts, asOf: number): void;
  /**
   * Whether the watch has told of room that appeared after this revision. Another registry instance counts as newer: counters
   * of two processes say nothing of each other.
   */
  roomSince(revision: FleetRevision): boolean;
  /**
   * Asks for the agents that have room, and takes them for what they are now: for the poll, which must not depend on what the watch
   * has told, or has not. Throws when the registry cannot be asked, or has said that it can promise nothing.
   */
  refresh(): Promise<void>;
  /** Whether the agent takes work, whatever is free there; null: the fleet is not known. */
  takesWork(agentId: string): boolean | null;
  /** Index of a card on its agent, as the driver counts; null when unknown. */
  cardIndex(agentId: string, cardId: string): number | null;
  /** Called at once with each piece of news. Returns how to leave. */
  onNews(listener: (news: FleetNews) => void): () => void;
}

export interface FleetViewOptions {
  readonly registry: RegistryPort;
  /** Of the gate, a fraction. */
  readonly pauseThreshold: number;
  readonly ports: Ports;
  readonly logger: Logger;
}

/** What was asked for is older than whatever a watch tells. */
const askedFor: FleetRevision = { instance: "", counter: 0 };
const firstPauseMs = 200;
const longestPauseMs = 5_000;
/** After the word of a registry process that is there: the next try may reach another one, and this one may serve at any moment. */
const longestPauseWhenUnfitMs = 1_000;

export function createFleetView(options: FleetViewOptions): FleetView {
  const { registry, ports, logger } = options;
  const agents = new WatchedAgents(options.pauseThreshold);
  const news = new Broadcast<FleetNews>({
    onListenerError: (error) => logger.error({ err: error }, "a listener of the fleet failed"),
  });
  let revision: FleetRevision | null = null;
  /** The newest state of the fleet in which there was more room than before. */
  let roomAt: FleetRevision | null = null;
  let trouble = "The registry has not answered yet.";
  /** What a registry process said with which it sent the watch away: it is there, and can promise nothing. */
  let unfit: unknown = null;
  let abort = new AbortController();
  let finished: Promise<void> = Promise.resolve();

  function apply(change: FleetChange): void {
    const wasDown = revision === null || revision === askedFor;
    if (change.snapshot) agents.clear();
    for (const agent of change.agents) agents.put(agent);
    for (const agentId of change.removedAgentIds) agents.delete(agentId);
    revision = change.revision;
    unfit = null;
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
      let longestMs = longestPauseMs;
      try {
        for await (const change of registry.watch(signal)) {
          apply(change);
          pauseMs = firstPauseMs;
        }
        goDown(undefined);
      } catch (error) {
        if (!signal.aborted) goDown(error);
        unfit = isUnfit(error) ? error : null;
        if (unfit !== null) longestMs = longestPauseWhenUnfitMs;
      }
      pauseMs = Math.min(longestMs, pauseMs);
      await sleep(ports.timers, jitter(ports.random, pauseMs, 0.2), signal).catch(() => undefined);
      pauseMs *= 2;
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
      return {
        kind: "up",
        revision,
        verdict: (task) => agents.verdict(task),
        gateAgents: () => agents.gateAgents(),
      };
    },
    roomFor: (needs, limit, isMeant = () => true) => agents.openRoom().roomFor(needs, limit, isMeant),
    draft: () => agents.openRoom().draft(),
    asOf: () => agents.puts,
    machines: () => agents.machines,
    promised: (agentId, amounts, asOf) => agents.promised(agentId, amounts, asOf),
    roomSince: ({ instance, counter }) => roomAt !== null && (roomAt.instance !== instance || roomAt.counter > counter),
    async refresh() {
      // It would tell of room all the same, and refuse it.
      if (unfit !== null) throw unfit;
      const before = revision;
      const withRoom = await registry.withRoom();
      // The watch has told of something newer meanwhile.
      if (revision !== before) return;
      for (const agent of withRoom) agents.put(agent);
      revision ??= askedFor;
    },
    takesWork: (agentId) => (revision === null || revision === askedFor ? null : agents.takesWork(agentId)),
    cardIndex(agentId, cardId) {
      const known = agents.get(agentId)?.cards.find((card) => card.cardId === cardId)?.index;
      if (known !== undefined) return known;
      const counted = /^gpu-(\d{1,4})$/.exec(cardId)?.[1];
      return counted === undefined ? null : Number(counted);
    },
    onNews: (listener) => news.on(listener),
  };
}
