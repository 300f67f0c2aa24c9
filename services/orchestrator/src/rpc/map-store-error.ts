import { classifyError, isSchemaMismatch } from "@headroom/postgres";
import { type MapError, unavailable } from "@headroom/rpc";
import { PlanLockedError } from "../store/plan-locked.ts";

const retryAfterMs = 1_000;

/** What a store that is away, or too busy, means to a caller. */
export const mapStoreError: MapError = (error) => {
  if (error instanceof PlanLockedError) {
    return unavailable(
      "PLAN_LOCKED",
      `another session of the database keeps plan ${error.planId} locked, so nothing of it can be changed now; try again, or look for an open transaction in pg_stat_activity`,
      retryAfterMs,
      error,
    );
  }
  switch (classifyError(error).kind) {
    case "unavailable":
      return unavailable(
        "DATABASE_UNAVAILABLE",
        "the orchestrator's database does not answer now; what was accepted is safe, and trying again is too (with the same request_id)",
        retryAfterMs,
        error,
      );
    case "disk_full":
      return unavailable(
        "DATABASE_FULL",
        "the orchestrator's database has no room left on its disk: make some",
        30_000,
        error,
      );
    case "timeout":
    case "conflict":
    case "serialization":
      return unavailable(
        "DATABASE_BUSY",
        "the orchestrator's database is too busy now; try again",
        retryAfterMs,
        error,
      );
    case "unique_violation":
    case "other":
      // The ports are open while the first start makes the schema, and stay so while a newer version changes it.
      return isSchemaMismatch(error)
        ? unavailable(
            "STARTING",
            "the orchestrator's database is still being prepared, or another version of the orchestrator has changed it; try again",
            retryAfterMs,
            error,
          )
        : null;
  }
};
