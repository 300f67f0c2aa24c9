import { explanationToWire, reservationToWire, type ReserveRequest, reserveFromWire, wire } from "@headroom/contracts";
import { invalidArgument, type UnaryHandler } from "@headroom/rpc";
import type { Logger } from "@headroom/runtime";
import type { FleetExplanation, Needs } from "@headroom/scheduling";
import { PLACEMENT_POLICIES } from "../placement/placement-policies.ts";
import { placingBy } from "../placement/placing.ts";
import { Draft } from "../reservations/draft.ts";
import { idsOf } from "../reservations/ids-of.ts";
import { reserveOperation, type ReserveResult } from "../reservations/reserve.ts";
import type { StoredReservation } from "../store/stored-agent.ts";
import type { HandlerDeps } from "./deps.ts";
import { promiseAsStored } from "./promise-as-stored.ts";

/** 10 years: whoever expects more knows nothing. */
const MAX_EXPECTED_MS = 10 * 365 * 86_400_000;

/** So many lines take milliseconds to write: whoever waits for the answer gets it first. */
const LARGE_BATCH = 64;

/** Promises room to attempts, in one transaction, each with its own result. */
export function reserveCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ReserveCapacityRequest, wire.ReserveCapacityResponse> {
  return async (request, context) => {
    deps.requireReady();
    const requests = readRequests(request);
    const isKept = request.dryRun !== true;
    const placement = placementOf(deps, request.placementPolicy ?? "", isKept);
    if (isKept) {
      for (const { taskId, attemptId, needs } of requests) {
        deps.placement.arrivals.note(taskId === "" ? attemptId : taskId, needs);
      }
    }
    const operation = reserveOperation(requests, {
      allOrNothing: request.allOrNothing,
      index: deps.index,
      heartbeatIntervalMs: deps.heartbeatIntervalMs,
      ...placement,
      random: deps.random.next(),
      revision: () => deps.fleet.revision,
    });
    if (isKept) await deps.catchUp();
    const { results, revision } = isKept
      ? await deps.desk.submit(operation)
      : // Nobody commits this draft.
        operation.plan(new Draft(deps.fleet, deps.storeClock.now()));
    const { logger } = context;
    const log = (): void =>
      logger.together(() => {
        for (const [index, result] of results.entries()) logResult(logger, requests[index], result);
      });
    if (isKept) {
      if (results.length < LARGE_BATCH) log();
      else deps.timers.after(0, log);
    }
    const toWire = resultMapper(deps);
    return {
      results: results.map((result, index) => toWire(requests[index]?.attemptId ?? "", result)),
      revision: { ...revision },
    };
  };
}

/** The policy that the request names, or the registry's own. What is not kept teaches nothing. */
function placementOf({ index, placement }: HandlerDeps, name: string, isKept: boolean) {
  const { policies } = placement;
  const policy = policies.named(name);
  if (policy === null) {
    const description = `no placement policy is called "${name}"; one of ${PLACEMENT_POLICIES.join(", ")}, or leave it out for this registry's own (${policies.defaultName})`;
    throw invalidArgument([{ field: "placement_policy", description }]);
  }
  return placingBy(policy, { index, ...placement }, isKept);
}

function readRequests({ reservations }: wire.ReserveCapacityRequest): readonly ReserveRequest[] {
  const seen = new Map<string, number>();
  const known = new Map<string, Needs>();
  return reservations.map((reserve, index) => {
    const read = reserveFromWire(reserve, `reservations[${index}]`);
    if (read.kind === "invalid") throw invalidArgument([read]);
    if ((read.value.expectedDurationMs ?? 0) > MAX_EXPECTED_MS) {
      const description = "is longer than 10 years; leave it out when it is not known";
      throw invalidArgument([{ field: `reservations[${index}].expected_duration`, description }]);
    }
    const first = seen.get(read.value.attemptId);
    if (first !== undefined) {
      const description = `names the same attempt as reservations[${first}]; each attempt may stand once`;
      throw invalidArgument([{ field: `reservations[${index}].attempt_id`, description }]);
    }
    seen.set(read.value.attemptId, index);
    return { ...read.value, needs: sharedNeeds(known, read.value.needs) };
  });
}

/** Most of a batch asks for the same: as one object, what is derived from it is derived once. */
function sharedNeeds(known: Map<string, Needs>, needs: Needs): Needs {
  const key = JSON.stringify(needs);
  const same = known.get(key);
  if (same !== undefined) return same;
  known.set(key, needs);
  return needs;
}

/** Requests of one shape that were refused share one explanation, which may tell of many agents: it is mapped once. */
function resultMapper(deps: HandlerDeps): (attemptId: string, result: ReserveResult) => wire.ReserveResult {
  const explanations = new Map<FleetExplanation, wire.CapacityExplanation>();
  const explained = (explanation: FleetExplanation): wire.CapacityExplanation => {
    const mapped =
      explanations.get(explanation) ?? explanationToWire(explanation, (agentId) => deps.fleet.get(agentId));
    explanations.set(explanation, mapped);
    return mapped;
  };
  return (attemptId, result) => ({ attemptId, outcome: outcomeToWire(deps, result, explained) });
}

function outcomeToWire(
  deps: HandlerDeps,
  result: ReserveResult,
  explained: (explanation: FleetExplanation) => wire.CapacityExplanation,
): NonNullable<wire.ReserveResult["outcome"]> {
  switch (result.kind) {
    case "reserved":
      return { $case: "reserved", value: promiseToWire(deps, result.reservation) };
    case "no_room":
      return { $case: "noRoom", value: explained(result.explanation) };
    case "stale_fence":
      return { $case: "staleFence", value: { currentFence: result.currentFence } };
    case "conflict":
      return { $case: "conflict", value: { sentence: result.sentence, released: result.released } };
  }
}

/** Whoever has it told may rely on what is left of its lease, however long the commit took. */
function promiseToWire({ fleet, storeClock }: HandlerDeps, promised: StoredReservation): wire.Reservation {
  const reservation = promiseAsStored(fleet, promised);
  return reservationToWire(reservation, { nowMs: storeClock.latest(), reservedAtMs: reservation.reservedAtMs });
}

function logResult(logger: Logger, request: ReserveRequest | undefined, result: ReserveResult): void {
  if (request === undefined) return;
  const { attemptId, taskId, planId, fence } = request;
  const ids = { attempt_id: attemptId, task_id: taskId, plan_id: planId };
  switch (result.kind) {
    case "reserved":
      logger.info({ ...ids, ...idsOf(result.reservation), fence, state: result.reservation.state }, "room is promised");
      return;
    case "no_room":
      // The orchestrator logs a pause when it begins; a task that waits on is refused again at every wake-up.
      logger.debug({ ...ids, reason: result.explanation.reason }, `no room: ${result.explanation.sentence}`);
      return;
    case "stale_fence":
      logger.warn({ ...ids, fence, current_fence: result.currentFence }, "a superseded caller asked for room");
      return;
    case "conflict":
      logger.warn({ ...ids, fence }, result.sentence);
  }
}
