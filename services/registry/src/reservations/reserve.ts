/** Promises room to attempts: those that have a promise get the same again, the others are placed. */
import {
  explain,
  type FleetExplanation,
  placeBatch,
  type Placement,
  type PlacementPolicy,
  type PlaceRequest,
  reservationStep,
  shapeKey,
  unconfirmedLeaseMs,
} from "@headroom/scheduling";
import type { ReserveRequest } from "@headroom/contracts";
import type { FleetRevision } from "../fleet/fleet.ts";
import type { StoredReservation } from "../store/stored-agent.ts";
import type { Draft } from "./draft.ts";
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
  readonly heartbeatIntervalMs: number;
  readonly policy: PlacementPolicy;
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

function planReserve(
  draft: Draft,
  requests: readonly ReserveRequest[],
  options: ReserveOptions,
): readonly ReserveResult[] {
  const goBack = draft.mark();
  const results = new Map<string, ReserveResult>();
  const unplaced: ReserveRequest[] = [];
  for (const request of requests) {
    const again = reserveAgain(draft, request, options);
    if (again === "place") unplaced.push(request);
    else results.set(request.attemptId, again);
  }
  for (const [attemptId, result] of place(draft, unplaced, options)) results.set(attemptId, result);
  const ordered = requests.map(({ attemptId }) => requireResult(results.get(attemptId)));
  if (!options.allOrNothing || ordered.every(({ kind }) => kind === "reserved")) return ordered;
  goBack();
  return ordered.map((result, index) => withheld(draft, result, requests[index], ordered));
}

/** An attempt that is known: its promise again, or why not. "place": it needs (new) room. */
function reserveAgain(draft: Draft, request: ReserveRequest, options: ReserveOptions): ReserveResult | "place" {
  const known = draft.reservation(request.attemptId);
  if (known === undefined) return "place";
  const outcome = reservationStep(known, eventOf(draft, request, options, known), draft.nowMs);
  switch (outcome.kind) {
    case "changed": {
      // The tombstone of an older claim: this one starts anew, perhaps elsewhere.
      if (outcome.change === "reserved" && known.state === "released") return "place";
      const reservation = stored(outcome.reservation, known, draft.nowMs, notesOf(request));
      draft.put(reservation);
      return { kind: "reserved", reservation };
    }
    case "unchanged":
      return { kind: "reserved", reservation: known };
    case "forgotten":
      return "place";
    case "rejected":
      return rejected(outcome.reason, known);
  }
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
  const byId = new Map(requests.map((request) => [request.attemptId, request]));
  const placements = placeBatch(
    draft.views(),
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
    group: options.allOrNothing ? "all" : null,
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
  const outcome = reservationStep(known ?? null, event, draft.nowMs);
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
): Extract<Parameters<typeof reservationStep>[1], { type: "reserve" }> {
  return {
    type: "reserve",
    attemptId: request.attemptId,
    agentId: where.agentId,
    reserved: where.reserved,
    fence: request.fence,
    shape: shapeKey(request.needs),
    expectedEndAtMs: expectedEndOf(draft, request),
    leaseMs: unconfirmedLeaseMs(options.heartbeatIntervalMs),
  };
}

function expectedEndOf(draft: Draft, { expectedDurationMs }: ReserveRequest): number | null {
  return expectedDurationMs === null ? null : draft.nowMs + expectedDurationMs;
}

function notesOf({ needs, taskId, planId }: ReserveRequest): Pick<StoredReservation, "needs" | "taskId" | "planId"> {
  return { needs, taskId, planId };
}

/** What a member of a group is told that was not given anything because of another member. */
function withheld(
  draft: Draft,
  result: ReserveResult,
  request: ReserveRequest | undefined,
  all: readonly ReserveResult[],
): ReserveResult {
  if (result.kind !== "reserved" || request === undefined) return result;
  const blamed = all.find(({ kind }) => kind === "no_room");
  if (blamed?.kind === "no_room") return blamed;
  const alone = explain(draft.views(), request.needs, { avoidAgentIds: request.avoidAgentIds });
  const sentence = "Another member of the group was refused, and it is all or nothing.";
  return { kind: "no_room", explanation: { ...alone, verdict: "not_now", reason: "NO_AGENT_FITS_NOW", sentence } };
}

function requireResult(result: ReserveResult | undefined): ReserveResult {
  if (result === undefined) throw new Error("placement left a request without an answer");
  return result;
}
