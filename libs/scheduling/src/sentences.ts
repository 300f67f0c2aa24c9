/** What explanations say to a person. Amounts are in GiB, as on the API and in tables; a shortage is never written as 0.0. */
import type { FleetVerdict } from "./explain.ts";
import type { Miss } from "./miss.ts";
import type { PauseReason } from "./reasons.ts";
import type { Mib, Millicores } from "./resources.ts";
import type { Unblock } from "./unblock.ts";

/** An amount of which there is at least so much: rounded down to 0.1 GiB. */
export function availableGbText(mib: Mib): string {
  return `${(Math.floor((mib * 10) / 1024) / 10).toFixed(1)} GiB`;
}

/** An amount that is needed or missing: rounded up to 0.1 GiB, so that 1 MiB is 0.1 GiB. */
export function neededGbText(mib: Mib): string {
  return `${(Math.ceil((mib * 10) / 1024) / 10).toFixed(1)} GiB`;
}

/** A number of cores that is needed or missing: rounded up to 0.1. */
export function neededCoresText(millicores: Millicores): string {
  const tenths = Math.ceil(millicores / 100);
  return tenths === 10 ? "1.0 core" : `${(tenths / 10).toFixed(1)} cores`;
}

/** One missing thing, such as "3.2 GiB VRAM short on GPU 1". */
export function missSentence(found: Miss): string {
  const shortBy = found.shortBy ?? 0;
  switch (found.code) {
    case "not_online":
      return `the agent is ${found.detail ?? "not online"}`;
    case "not_attached":
      return "its work stream to an orchestrator is down";
    case "cordoned":
      return "an operator has cordoned it";
    case "draining":
      return "it is being drained";
    case "owner_hold":
      return "its owner keeps it at the moment";
    case "on_probation":
      return "it came and went too often of late and is on probation";
    case "avoided":
      return "it is avoided for now";
    case "wrong_pool":
      return `it is in pool ${found.detail ?? "of another name"}`;
    case "wrong_type":
      return `its type is ${found.detail ?? "another"}`;
    case "wrong_agent":
      return "another agent is asked for";
    case "labels_mismatch":
      return `it lacks the label ${found.detail ?? "asked for"}`;
    case "gpu_model_mismatch":
      return `too few of its GPUs are ${found.detail ?? "of the model asked for"}`;
    case "not_enough_cpu":
      return found.detail ?? `${neededCoresText(shortBy)} short${atMost(found, neededCoresText)}`;
    case "not_enough_memory":
      return `${neededGbText(shortBy)} memory short${atMost(found, availableGbText)}`;
    case "not_enough_gpus":
      return `${found.needed ?? 0} GPU${found.needed === 1 ? "" : "s"} needed, it has ${found.total ?? 0}`;
    case "not_enough_vram":
      return `${neededGbText(shortBy)} VRAM short on ${cardText(found)}${atMost(found, availableGbText)}`;
    case "card_not_exclusive":
      return `${cardText(found)} is not to be had whole: ${found.detail ?? "in use"}`;
  }
}

/** Which agents a verdict over the fleet speaks of. */
export interface FleetScope {
  readonly agentsJudged: number;
  /** Of those, the ones of a type that takes the work. */
  readonly ofType: number;
  /** Of those, the ones the task may run on by name, type, pool and labels, and how many of them are online. */
  readonly eligible: number;
  readonly eligibleOnline: number;
  /** The task names its agent. */
  readonly isPinned: boolean;
}

/** The verdict over the fleet, in one sentence that names the nearest miss. */
export function fleetSentence(
  verdict: FleetVerdict,
  reason: PauseReason | null,
  nearest: Miss | null,
  scope: FleetScope,
): string {
  const { eligibleOnline } = scope;
  const closest = nearest === null ? "" : `; the nearest: ${missSentence(nearest)}`;
  switch (verdict) {
    case "fits":
      return "There is room for it now.";
    case "no_agent_online":
      return nobodyText(scope);
    case "never":
      return `It can never fit on ${everyText(scope)}${closest}.`;
    case "not_now":
      if (reason === "AGENT_NOT_ATTACHED") return "It fits, but the agent's work stream to an orchestrator is down.";
      if (reason === "ALL_CORDONED")
        return "The agents with room for it are cordoned, being drained or held by their owner.";
      if (eligibleOnline === 0) return offlineText(scope);
      return `No room now on ${onlineText(scope)}${closest}.`;
  }
}

/** Agents of types that take no work are told apart: that one of them is online does not help. */
function nobodyText({ agentsJudged, ofType }: FleetScope): string {
  if (agentsJudged === 0) return "No agent is known.";
  if (ofType === 0) return "No agent is known of a type that takes work.";
  const areAll = ofType === agentsJudged;
  if (ofType === 1) return `The only agent${areAll ? "" : " that takes work"} is not online.`;
  return `None of the ${ofType} agents${areAll ? "" : " that take work"} is online.`;
}

/** Of what can never fit: offline agents count too, their machines are known. */
function everyText({ agentsJudged, eligible, isPinned }: FleetScope): string {
  if (agentsJudged === 1) return "the only agent";
  if (eligible === 0 || eligible === agentsJudged) return `any of the ${agentsJudged} agents`;
  if (isPinned) return "the agent it asks for";
  return eligible === 1 ? "the only agent it may run on" : `any of the ${eligible} agents it may run on`;
}

/** Of what has no room now: agents that are online; the others are told apart, one of them may have room when it comes back. */
function onlineText({ agentsJudged, eligible, eligibleOnline, isPinned }: FleetScope): string {
  if (agentsJudged === 1) return "the only agent";
  if (isPinned) return "the agent it asks for";
  const which = eligibleOnline < eligible ? "online agent" : "agent";
  const mayRun = eligible < agentsJudged ? " it may run on" : "";
  const away = eligible - eligibleOnline;
  const others = away === 0 ? "" : ` (${away} more ${away === 1 ? "is" : "are"} not online)`;
  if (eligibleOnline === 1) return `the only ${which}${mayRun}${others}`;
  return `any of the ${eligibleOnline} ${which}s${mayRun}${others}`;
}

function offlineText({ eligible, isPinned }: FleetScope): string {
  if (isPinned) return "The agent it asks for is not online.";
  if (eligible === 1) return "The only agent it may run on is not online.";
  return `None of the ${eligible} agents it may run on is online.`;
}

/** What would unblock it on one agent, for a person. */
export function unblockSentence(wayOut: Unblock, agentId: string): string {
  switch (wayOut.kind) {
    case "nothing":
      return "nothing is in the way";
    case "never":
      return "nothing on this agent; a larger machine, or smaller needs";
    case "attempts_end": {
      const { length } = wayOut.attemptIds;
      return length === 1 ? "wait for 1 running task to end" : `wait for ${length} running tasks to end`;
    }
    case "owner_programs_end":
      return "the owner's other programs have to leave room";
    case "obstacles":
      return wayOut.obstacles.map((obstacle) => obstacleText(obstacle, agentId)).join("; ");
  }
}

function obstacleText(obstacle: Extract<Unblock, { kind: "obstacles" }>["obstacles"][number], agentId: string): string {
  switch (obstacle) {
    case "not_online":
      return "start the agent";
    case "not_attached":
      return "its work stream has to reach an orchestrator";
    case "cordoned":
      return `headroom agents uncordon ${agentId}`;
    case "draining":
      return "its drain has to end";
    case "owner_hold":
      return "its owner has to release it";
    case "on_probation":
      return "its probation has to end; headroom agents get shows until when";
    case "avoided":
      return "wait until it is tried again";
    case "no_metrics":
      return "wait for its first metrics";
  }
}

function atMost(found: Miss, textOf: (amount: number) => string): string {
  return found.permanent && found.total !== null ? ` (it has ${textOf(found.total)} at most)` : "";
}

function cardText(found: Miss): string {
  return found.cardIndex === null ? "a GPU" : `GPU ${found.cardIndex}`;
}
