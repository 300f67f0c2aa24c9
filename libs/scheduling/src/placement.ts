/** Where work goes. A policy chooses among the agents on which a task fits; a batch never promises the same room twice. */
import { withReservation, type AgentView } from "./agent-view.ts";
import type { FleetExplanation } from "./explain.ts";
import type { FitOptions, Fits } from "./fit.ts";
import { amountsFor, shapeKey, type Needs } from "./needs.ts";
import { PlacementBoard, type PlacementFleet, wholeFleet } from "./placement-board.ts";
import type { Amounts, EpochMs } from "./resources.ts";
import type { PauseReason } from "./reasons.ts";

/** An agent on which the task fits now. */
export interface Candidate {
  readonly view: AgentView;
  readonly fit: Fits;
}

/** What a policy decides: an agent of the candidates, and `gpuCount` of its eligible cards. */
export interface Choice {
  readonly agentId: string;
  readonly cardIds: readonly string[];
}

export interface ChosenCandidate {
  readonly candidate: Candidate;
  readonly choice: Choice;
}

export interface PlacementContext {
  /** In [0, 1), for policies that break ties by chance. */
  readonly random: number;
}

/** Pure, and total: given at least one candidate it chooses one. Ties are broken by agent id, so that runs repeat. */
export interface PlacementPolicy {
  readonly name: string;
  readonly choose: (
    candidates: readonly [Candidate, ...Candidate[]],
    needs: Needs,
    context: PlacementContext,
  ) => Choice;
}

export interface PlaceRequest {
  readonly attemptId: string;
  readonly needs: Needs;
  readonly options?: FitOptions;
  readonly expectedEndAtMs?: EpochMs | null;
  /** Requests of one group are all placed or none is. They are placed where the first of them stands in the batch. */
  readonly group?: string | null;
}

export type Placement =
  | {
      readonly kind: "reserved";
      readonly attemptId: string;
      readonly agentId: string;
      readonly amounts: Amounts;
    }
  | {
      readonly kind: "no_room";
      readonly attemptId: string;
      readonly reason: PauseReason;
      /** Why; for a group, why its first member that did not fit does not. */
      readonly explanation: FleetExplanation;
    };

/** Places requests in their order, each seeing what the ones before it took. Results stand in the requests' order. */
export function placeBatch(
  fleet: PlacementFleet | readonly AgentView[],
  requests: readonly PlaceRequest[],
  policy: PlacementPolicy,
  context: PlacementContext,
): readonly Placement[] {
  const board = new PlacementBoard("candidates" in fleet ? fleet : wholeFleet(fleet));
  const results = new Map<string, Placement>();
  // Shapes that found no room: room only shrinks within a batch, so the same question has the same answer.
  const refusals = new Map<string, FleetExplanation>();
  for (const members of inGroups(requests)) {
    for (const placement of placeTogether(board, members, policy, context, refusals)) {
      results.set(placement.attemptId, placement);
    }
  }
  return requests.flatMap(({ attemptId }) => results.get(attemptId) ?? []);
}

function inGroups(requests: readonly PlaceRequest[]): Iterable<readonly PlaceRequest[]> {
  const groups = new Map<string, PlaceRequest[]>();
  requests.forEach((request, position) => {
    const key = typeof request.group === "string" ? `group ${request.group}` : `alone ${position}`;
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [request]);
    else members.push(request);
  });
  return groups.values();
}

function placeTogether(
  board: PlacementBoard,
  members: readonly PlaceRequest[],
  policy: PlacementPolicy,
  context: PlacementContext,
  refusals: Map<string, FleetExplanation>,
): readonly Placement[] {
  // One that finds no room has changed nothing.
  const goBack = members.length > 1 ? board.mark() : null;
  const placements: Placement[] = [];
  for (const request of members) {
    const key = questionKey(request);
    const known = refusals.get(key);
    const placement = known === undefined ? placeOne(board, key, request, policy, context) : null;
    if (placement !== null) {
      placements.push(placement);
      continue;
    }
    const explanation = known ?? board.explain(request.needs, request.options ?? {});
    goBack?.();
    // What was refused on a fleet that its own group had filled says nothing of later requests.
    if (placements.length === 0) refusals.set(key, explanation);
    return members.map(({ attemptId }) => noRoom(attemptId, explanation));
  }
  return placements;
}

function placeOne(
  board: PlacementBoard,
  key: string,
  request: PlaceRequest,
  policy: PlacementPolicy,
  context: PlacementContext,
): Placement | null {
  const { attemptId, needs } = request;
  const chosen = choose(board, key, request, policy, context);
  if (chosen === null) return null;
  const { candidate, choice } = chosen;
  const amounts = soundAmounts(candidate, needs, choice);
  const expectedEndAtMs = request.expectedEndAtMs ?? null;
  board.put(withReservation(candidate.view, { attemptId, reserved: amounts, expectedEndAtMs }));
  return { kind: "reserved", attemptId, agentId: candidate.view.agentId, amounts };
}

/** By the fleet's own ranking, where it has one; else by the policy, among candidates. */
function choose(
  board: PlacementBoard,
  key: string,
  { needs, options = {} }: PlaceRequest,
  policy: PlacementPolicy,
  context: PlacementContext,
): ChosenCandidate | null {
  const ranked = board.ranked?.choose(needs, options);
  if (ranked !== undefined && ranked !== "not ranked") return ranked;
  const candidates = board.candidates(key, needs, options);
  if (!isNonEmpty(candidates)) return null;
  const choice = policy.choose(candidates, needs, context);
  return { candidate: candidates.find(({ view }) => view.agentId === choice.agentId) ?? candidates[0], choice };
}

function isNonEmpty(candidates: readonly Candidate[]): candidates is readonly [Candidate, ...Candidate[]] {
  return candidates.length > 0;
}

/**
 * A policy may be somebody's experiment: a choice of cards that does not hold is replaced by the tightest one, which
 * does. (Cards that share the machine's memory can make a choice of eligible cards too large together.)
 */
function soundAmounts(candidate: Candidate, needs: Needs, choice: Choice): Amounts {
  const { view, fit: verdict } = candidate;
  const byId = new Map(verdict.eligibleCards.map((card) => [card.cardId, card]));
  const chosen = [...new Set(choice.cardIds)].flatMap((cardId) => byId.get(cardId) ?? []);
  const sharedMib = chosen.filter((card) => card.sharedMemory).length * needs.gpuVramMib;
  const holds = chosen.length === needs.gpuCount && needs.memoryMib + sharedMib <= view.room.memory.free;
  return holds
    ? amountsFor(
        needs,
        chosen.map((card) => card.cardId),
      )
    : verdict.amounts;
}

function noRoom(attemptId: string, explanation: FleetExplanation): Placement {
  return { kind: "no_room", attemptId, reason: explanation.reason ?? "NO_AGENT_FITS_NOW", explanation };
}

function questionKey(request: PlaceRequest): string {
  const { agentTypes, avoidAgentIds, requireAttached } = request.options ?? {};
  return JSON.stringify([
    shapeKey(request.needs),
    agentTypes ?? (agentTypes === null ? "any" : "default"),
    [...(avoidAgentIds ?? [])].sort(),
    requireAttached !== false,
  ]);
}
