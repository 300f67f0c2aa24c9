/** Promises room to attempts: those that have a promise get the same again, the others are placed. */
import {
  fit,
  type FleetExplanation,
  type HoldEvent,
  normalizeNeeds,
  placeBatch,
  type Placement,
  type PlacementPolicy,
  type PlaceRequest,
  type RankedFleet,
  reservationStep,
  type ReserveEvent,
  shapeKey,
  unconfirmedLeaseMs,
} from "@headroom/scheduling";
import type { ReserveRequest } from "@headroom/contracts";
import { viewOf } from "../fleet/agent-views.ts";
import type { FleetRevision } from "../fleet/fleet.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { StoredReservation } from "../store/stored-agent.ts";
import type { Draft } from "./draft.ts";
import { draftFleet, explainDraft } from "./draft-fleet.ts";
import { type Operation, stored } from "./operation.ts";

export type ReserveResult =
  | { readonly kind: "reserved"; readonly reservation: StoredReservation }
  | { readonly kind: "no_room"; readonly explanation: FleetExplanation }
  | { readonly kind: "stale_fence"; readonly currentFence: number }
  | { readonly kind: "conflict"; readonly released: boolean; readonly sentence: string };

export interface ReserveResults {
  /** In the order of the requests. */
  readonly results: readonly ReserveResult[];
  /** The state of the fleet that they were decided on. */
  readonly revision: FleetRevision;
}

export interface ReserveOptions {
  readonly allOrNothing: boolean;
  readonly index: CapacityIndex;
  readonly heartbeatIntervalMs: number;
  readonly policy: PlacementPolicy;
  /** All agents in the order of the policy. */
  readonly ranked: (draft: Draft) => RankedFleet;
  /** In [0, 1). */
  readonly random: number;
  revision(): FleetRevision;
}

export function reserveOperation(
  requests: readonly ReserveRequest[],
  options: ReserveOptions,
): Operation<ReserveResults> {
  return {
    name: "reserve",
    // A new attempt is the rule, so nothing is looked up: if another replica has it, the commit meets a conflict.
    attemptIds: [],
    plan: (draft) => ({ results: planReserve(draft, requests, options), revision: options.revision() }),
  };
}

/** What stands before anything is placed: an answer, and what it writes; or the need of room. */
type Standing =
  | { readonly kind: "place" }
  | { readonly kind: "answer"; readonly result: ReserveResult; readonly write: StoredReservation | null };

function planReserve(
  draft: Draft,
  requests: readonly ReserveRequest[],
  options: ReserveOptions,
): readonly ReserveResult[] {
  const standings = requests.map((request) => standingOf(draft, request, options));
  const broken = new Map<string, ReserveResult>();
  const blame = (request: ReserveRequest, result: ReserveResult | undefined): void => {
    const group = groupOf(request, options);
    if (group !== null && result !== undefined && result.kind !== "reserved" && !broken.has(group)) {
      broken.set(group, result);
    }
  };
  const isBroken = (request: ReserveRequest): boolean => broken.has(groupOf(request, options) ?? "");
  standings.forEach((standing, index) => {
    const request = requests[index];
    if (standing.kind === "answer" && request !== undefined) blame(request, standing.result);
  });
  const unplaced = requests.filter((request, index) => standings[index]?.kind === "place" && !isBroken(request));
  const placed = place(draft, unplaced, options);
  const explainAlone = explainOnce(draft, options.index);
  for (const request of unplaced) blame(request, placed.get(request.attemptId));
  return requests.map((request, index) => {
    const standing = standings[index];
    const result = standing?.kind === "answer" ? standing.result : placed.get(request.attemptId);
    const culprit = broken.get(groupOf(request, options) ?? "");
    if (culprit !== undefined && (result === undefined || result.kind === "reserved")) {
      return culprit.kind === "no_room" ? culprit : withheld(explainAlone(request));
    }
    if (standing?.kind === "answer" && standing.write !== null) draft.put(standing.write);
    return requireResult(result);
  });
}

/** Requests of one group are given room together or not at all; null: it stands alone. */
function groupOf(request: ReserveRequest, options: ReserveOptions): string | null {
  if (options.allOrNothing) return "all of the request";
  const { group = "" } = request;
  return group === "" ? null : `group ${group}`;
}

/** An attempt that is known: its promise again, or why not. */
function standingOf(draft: Draft, request: ReserveRequest, options: ReserveOptions): Standing {
  const known = draft.reservation(request.attemptId);
  if (known === undefined) return { kind: "place" };
  const outcome = reservationStep(known, eventOf(draft, request, options, known), draft.nowMs);
  switch (outcome.kind) {
    case "changed": {
      // The tombstone of an older claim: this one starts anew, perhaps elsewhere.
      if (known.state === "released" || isKeptInVain(draft, request, known)) return { kind: "place" };
      const reservation = stored(outcome.reservation, known, draft.nowMs, notesOf(request));
      return { kind: "answer", result: { kind: "reserved", reservation }, write: reservation };
    }
    case "unchanged":
      return { kind: "answer", result: { kind: "reserved", reservation: known }, write: null };
    case "forgotten":
      return { kind: "place" };
    case "rejected":
      return { kind: "answer", result: rejected(outcome.reason, known), write: null };
  }
}

/** What fits wherever work is taken at all. */
const NO_NEEDS = normalizeNeeds({ cpuMillicores: 0 });

/**
 * Room was kept for the attempt, on an agent that takes no work now or that the attempt avoids: it is placed as if nothing had been kept.
 * Where it finds room, that is instead of what was kept; where it finds none, what was kept stays until its lease ends. A repetition of
 * an attempt that has its promise gets the same answer, whatever its agent does.
 */
function isKeptInVain(draft: Draft, { kind, avoidAgentIds }: ReserveRequest, known: StoredReservation): boolean {
  if (known.state !== "hold" || kind === "hold") return false;
  const agent = draft.agent(known.agentId);
  return agent === undefined || fit(viewOf(agent), NO_NEEDS, { avoidAgentIds }).kind !== "fits";
}

function rejected(reason: string, known: StoredReservation): ReserveResult {
  if (reason === "STALE_FENCE") return { kind: "stale_fence", currentFence: known.fence };
  const released = known.state === "released";
  const sentence =
    reason === "ALREADY_EXISTS"
      ? "this attempt was reserved before, with other needs; give changed needs a new attempt id"
      : "this attempt had room and has ended; a new try needs a new attempt id, or a higher fence";
  return { kind: "conflict", released, sentence };
}

function place(
  draft: Draft,
  requests: readonly ReserveRequest[],
  options: ReserveOptions,
): ReadonlyMap<string, ReserveResult> {
  if (requests.length === 0) return new Map();
  const byId = new Map(requests.map((request) => [request.attemptId, request]));
  const placements = placeBatch(
    draftFleet(draft, options.index, options.ranked(draft)),
    [...byId.values()].map((request) => placeRequest(draft, request, options)),
    options.policy,
    { random: options.random },
  );
  return new Map(
    placements.map((placement) => [
      placement.attemptId,
      keepPlacement(draft, placement, byId.get(placement.attemptId), options),
    ]),
  );
}

function placeRequest(draft: Draft, request: ReserveRequest, options: ReserveOptions): PlaceRequest {
  const { attemptId, needs, avoidAgentIds } = request;
  return {
    attemptId,
    needs,
    options: { avoidAgentIds },
    expectedEndAtMs: expectedEndOf(draft, request),
    group: groupOf(request, options),
  };
}

function keepPlacement(
  draft: Draft,
  placement: Placement,
  request: ReserveRequest | undefined,
  options: ReserveOptions,
): ReserveResult {
  if (placement.kind === "no_room") return { kind: "no_room", explanation: placement.explanation };
  if (request === undefined) throw new Error("a placement for an attempt that nobody asked for");
  const known = draft.reservation(request.attemptId);
  const event = eventOf(draft, request, options, { agentId: placement.agentId, reserved: placement.amounts });
  // Room that was kept elsewhere is given up with this.
  const before = known === undefined || known.state === "hold" ? null : known;
  const outcome = reservationStep(before, event, draft.nowMs);
  if (outcome.kind !== "changed") throw new Error(`a placed attempt was ${outcome.kind} by its own table`);
  const reservation = stored(outcome.reservation, undefined, draft.nowMs, notesOf(request));
  draft.put(reservation);
  return { kind: "reserved", reservation };
}

function eventOf(
  draft: Draft,
  request: ReserveRequest,
  options: ReserveOptions,
  where: Pick<StoredReservation, "agentId" | "reserved">,
): ReserveEvent | HoldEvent {
  return {
    type: request.kind === "hold" ? "hold" : "reserve",
    attemptId: request.attemptId,
    agentId: where.agentId,
    reserved: where.reserved,
    fence: request.fence,
    shape: shapeKey(request.needs),
    expectedEndAtMs: expectedEndOf(draft, request),
    leaseMs: unconfirmedLeaseMs(options.heartbeatIntervalMs),
  };
}

/** In room that is kept nothing runs yet, so nothing is expected to end. */
function expectedEndOf(draft: Draft, { kind, expectedDurationMs }: ReserveRequest): number | null {
  return kind === "hold" || expectedDurationMs === null ? null : draft.nowMs + expectedDurationMs;
}

function notesOf({ needs, taskId, planId }: ReserveRequest): Pick<StoredReservation, "needs" | "taskId" | "planId"> {
  return { needs, taskId, planId };
}

/** An explanation for each question, by shape and agents to avoid; members of a group mostly ask the same one. */
function explainOnce(draft: Draft, index: CapacityIndex): (request: ReserveRequest) => FleetExplanation {
  const known = new Map<string, FleetExplanation>();
  return ({ needs, avoidAgentIds }) => {
    const key = JSON.stringify([shapeKey(needs), [...avoidAgentIds].sort()]);
    const explanation = known.get(key) ?? explainDraft(draft, index, needs, { avoidAgentIds });
    known.set(key, explanation);
    return explanation;
  };
}

/** What a member of a group is told that was not given anything because of another member. */
function withheld(alone: FleetExplanation): ReserveResult {
  const sentence = "Another member of the group was refused, and it is all or nothing.";
  return { kind: "no_room", explanation: { ...alone, verdict: "not_now", reason: "NO_AGENT_FITS_NOW", sentence } };
}

function requireResult(result: ReserveResult | undefined): ReserveResult {
  if (result === undefined) throw new Error("placement left a request without an answer");
  return result;
}
