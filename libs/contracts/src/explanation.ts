/** Why needs fit or do not fit: what scheduling's `explain` found, and what a reader on the other side makes of it. */
import {
  isPauseReason,
  unblockSentence,
  missSentence,
  type AgentStatus,
  type AgentVerdict,
  type FleetExplanation,
  type FleetVerdict,
  type Miss,
  type MissCode,
  type MissDimension,
  type PauseReason,
} from "@headroom/scheduling";
import { agentStatusWire, fleetVerdictWire, missCodeWire } from "./enums.ts";
import { ok, readEach, type FromWire } from "./from-wire.ts";
import {
  CapacityExplanation,
  Miss as WireMiss,
  type AgentVerdict as WireAgentVerdict,
} from "./gen/headroom/common/v1/explanation.ts";
import { coresFromMillicores, gbFromMib } from "./units.ts";

/** Who an agent is to people. */
export interface ExplainedAgent {
  readonly hostname: string;
  readonly status: AgentStatus;
}

/** `agentOf` tells who the agents are; one that it does not know has left, and is shown as offline. */
export function explanationToWire(
  explanation: FleetExplanation,
  agentOf: (agentId: string) => ExplainedAgent | undefined,
): CapacityExplanation {
  return CapacityExplanation.fromPartial({
    verdict: fleetVerdictWire.toWire(explanation.verdict),
    sentence: explanation.sentence,
    agents: explanation.agents.map((verdict) =>
      verdictToWire(verdict, agentOf(verdict.agentId) ?? { hostname: "", status: "offline" }),
    ),
    agentsJudged: explanation.agentsJudged,
    reason: explanation.reason ?? "",
  });
}

function verdictToWire(verdict: AgentVerdict, agent: ExplainedAgent): WireAgentVerdict {
  return {
    agentId: verdict.agentId,
    hostname: agent.hostname,
    status: agentStatusWire.toWire(agent.status),
    fits: verdict.verdict === "fits",
    never: verdict.verdict === "never",
    misses: verdict.misses.map(missToWire),
    unblock: unblockSentence(verdict.unblock, verdict.agentId),
  };
}

function missToWire(miss: Miss): WireMiss {
  const amount = amountConverter(miss.dimension);
  return WireMiss.fromPartial({
    code: missCodeWire.toWire(miss.code),
    never: miss.permanent,
    cardId: miss.cardId ?? "",
    cardIndex: miss.cardIndex ?? 0,
    needed: amount(miss.needed ?? 0),
    free: amount(miss.free ?? 0),
    total: amount(miss.total ?? 0),
    sentence: missSentence(miss),
  });
}

function amountConverter(dimension: MissDimension): (amount: number) => number {
  switch (dimension) {
    case "cpu":
      return coresFromMillicores;
    case "memory":
    case "vram":
      return gbFromMib;
    case "gpu_count":
    case "state":
    case "identity":
      return (amount) => amount;
  }
}

/** One missing thing as told; amounts in cores, GiB or cards. */
export interface ToldMiss {
  readonly code: MissCode;
  readonly never: boolean;
  readonly cardId: string | null;
  readonly cardIndex: number | null;
  readonly needed: number;
  readonly free: number;
  readonly total: number;
  readonly sentence: string;
}

export interface ToldVerdict {
  readonly agentId: string;
  readonly hostname: string;
  readonly status: AgentStatus;
  readonly fits: boolean;
  readonly never: boolean;
  readonly misses: readonly ToldMiss[];
  readonly unblock: string;
}

/** An explanation as a reader of the registry knows it. */
export interface ToldExplanation {
  readonly verdict: FleetVerdict;
  readonly sentence: string;
  /** The nearest first; perhaps not all that were judged. */
  readonly agents: readonly ToldVerdict[];
  readonly agentsJudged: number;
  /** Under which a task waits; null when it fits. */
  readonly reason: PauseReason | null;
}

export function explanationFromWire(explanation: CapacityExplanation, path = "explanation"): FromWire<ToldExplanation> {
  const verdict = fleetVerdictWire.fromWire(explanation.verdict, `${path}.verdict`);
  if (verdict.kind === "invalid") return verdict;
  const agents = readEach(explanation.agents, `${path}.agents`, verdictFromWire);
  if (agents.kind === "invalid") return agents;
  const { sentence, agentsJudged } = explanation;
  // A registry of an older version does not say it.
  const reason = isPauseReason(explanation.reason) ? explanation.reason : reasonOf(verdict.value, agents.value);
  return ok({ verdict: verdict.value, sentence, agents: agents.value, agentsJudged, reason });
}

function verdictFromWire(verdict: WireAgentVerdict, path: string): FromWire<ToldVerdict> {
  const status = agentStatusWire.fromWire(verdict.status, `${path}.status`);
  if (status.kind === "invalid") return status;
  const misses = readEach(verdict.misses, `${path}.misses`, missFromWire);
  if (misses.kind === "invalid") return misses;
  const { agentId, hostname, fits, never, unblock } = verdict;
  return ok({ agentId, hostname, status: status.value, fits, never, misses: misses.value, unblock });
}

function missFromWire(miss: WireMiss, path: string): FromWire<ToldMiss> {
  const code = missCodeWire.fromWire(miss.code, `${path}.code`);
  if (code.kind === "invalid") return code;
  const { never, needed, free, total, sentence } = miss;
  const card =
    miss.cardId === "" ? { cardId: null, cardIndex: null } : { cardId: miss.cardId, cardIndex: miss.cardIndex };
  return ok({ code: code.value, never, ...card, needed, free, total, sentence });
}

const SET_ASIDE: ReadonlySet<MissCode> = new Set<MissCode>(["cordoned", "draining", "owner_hold", "not_attached"]);

/** scheduling's `pauseReason`, from what was told: as good as the agents that are listed. */
function reasonOf(verdict: FleetVerdict, agents: readonly ToldVerdict[]): PauseReason | null {
  switch (verdict) {
    case "fits":
      return null;
    case "no_agent_online":
      return "NO_AGENT_ONLINE";
    case "never":
      return "NO_AGENT_CAN_EVER_FIT";
    case "not_now":
      break;
  }
  const online = agents.filter(({ status, fits }) => status === "online" && !fits);
  if (online.some(({ misses }) => misses.every(({ code }) => code === "not_attached"))) return "AGENT_NOT_ATTACHED";
  if (online.some(({ misses }) => misses.every(({ code }) => SET_ASIDE.has(code)))) return "ALL_CORDONED";
  return "NO_AGENT_FITS_NOW";
}
