import { type MapError, unavailable } from "@headroom/rpc";
import { StoreUnavailableError } from "../store/registry-store.ts";

const RETRY_AFTER_MS = 1_000;

/** What a store that is away means to a caller. */
export const mapStoreError: MapError = (error) =>
  error instanceof StoreUnavailableError
    ? unavailable(
        "DATABASE_UNAVAILABLE",
        "the registry's database does not answer now; nothing was promised that was not answered, and trying again is safe",
        RETRY_AFTER_MS,
        error,
      )
    : null;
