/** A store for unit tests: what a test gives, and everything else is away. */
import { type RegistryStore, StoreUnavailableError } from "./store/registry-store.ts";

export function storeStub(given: Partial<RegistryStore>): RegistryStore {
  // Every method is there: the test's own, else one that rejects as an absent store does.
  return new Proxy(given, {
    get: (target, method) =>
      Reflect.get(target, method) ??
      (() => Promise.reject(new StoreUnavailableError(`no ${String(method)} in this test`))),
  }) as RegistryStore;
}
