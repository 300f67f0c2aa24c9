import { durationFromMs, renewOutcomeWire, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { renewOperation } from "../reservations/renew.ts";
import type { HandlerDeps } from "./deps.ts";
import { promiseAsStored } from "./promise-as-stored.ts";
import { readAttempts } from "./read-attempts.ts";

/** Extends leases. */
export function renewReservations(
  deps: HandlerDeps,
): UnaryHandler<wire.RenewReservationsRequest, wire.RenewReservationsResponse> {
  return async (request) => {
    deps.requireReady();
    const attempts = readAttempts(request.attempts);
    const results = await deps.desk.submit(renewOperation(attempts, deps.heartbeatIntervalMs));
    const nowMs = deps.storeClock.latest();
    return {
      results: results.map((result, index) => {
        const renewed = result.kind === "renewed" ? promiseAsStored(deps.fleet, result.reservation) : null;
        const expiresAtMs = renewed?.leaseExpiresAtMs ?? null;
        return wire.RenewResult.fromPartial({
          attemptId: attempts[index]?.attemptId ?? "",
          outcome: renewOutcomeWire.toWire(result.kind),
          ...(expiresAtMs !== null && { leaseLeft: durationFromMs(Math.max(0, expiresAtMs - nowMs)) }),
        });
      }),
    };
  };
}
