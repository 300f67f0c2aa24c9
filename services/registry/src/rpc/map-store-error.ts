import { isSchemaMismatch } from "@headroom/postgres";
import { type MapError, unavailable } from "@headroom/rpc";
import { StoreUnavailableError } from "../store/registry-store.ts";

const RETRY_AFTER_MS = 1_000;

/** What a store that is away means to a caller. */
export const mapStoreError: MapError = (error) => {
  if (!(error instanceof StoreUnavailableError)) return null;
  if (isSchemaMismatch(error)) {
    return unavailable(
      "REGISTRY_STARTING",
      "the registry's database is still being prepared, or another version of the registry has changed it; nothing was promised that was not answered, and trying again is safe",
      RETRY_AFTER_MS,
      error,
    );
  }
  return unavailable(
    "DATABASE_UNAVAILABLE",
    "the registry's database does not answer now; nothing was promised that was not answered, and trying again is safe",
    RETRY_AFTER_MS,
    error,
  );
};
