import { releaseOutcomeWire, type wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { idsOf } from "../reservations/ids-of.ts";
import { releaseOperation } from "../reservations/release.ts";
import type { HandlerDeps } from "./deps.ts";
import { readAttempts } from "./read-attempts.ts";

/** Gives promised room back. Releasing twice is fine. */
export function releaseCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ReleaseCapacityRequest, wire.ReleaseCapacityResponse> {
  return async (request, context) => {
    deps.requireReady();
    const attempts = readAttempts(request.attempts);
    const results = await deps.desk.submit(releaseOperation(attempts));
    const { logger } = context;
    logger.together(() => {
      for (const result of results) {
        if (result.kind !== "released" || result.ended === null) continue;
        logger.info({ ...idsOf(result.ended), reason: request.reason }, "promised room is given back");
      }
    });
    return {
      results: results.map((result, index) => ({
        attemptId: attempts[index]?.attemptId ?? "",
        outcome: releaseOutcomeWire.toWire(result.kind),
      })),
    };
  };
}
