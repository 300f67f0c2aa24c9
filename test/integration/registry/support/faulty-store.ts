/** A store that loses questions or answers when told to, as a network or a crash does. */
import { type RegistryStore, StoreUnavailableError } from "@headroom/registry";

/** `before`: the change does not happen; `after`: it happens and nobody learns of it. */
export type Loss = "before" | "after";

export interface FaultyStore {
  readonly store: RegistryStore;
  /** The next call of this method is lost in this way. */
  lose(method: keyof RegistryStore, loss: Loss): void;
  /** All losses asked for have happened. */
  readonly isSpent: boolean;
}

export function faultyStore(inner: RegistryStore): FaultyStore {
  const losses = new Map<string, Loss>();
  const store = new Proxy(inner, {
    get(target, method, receiver) {
      const value: unknown = Reflect.get(target, method, receiver);
      if (typeof value !== "function" || typeof method !== "string") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const loss = losses.get(method);
        losses.delete(method);
        if (loss === "before") throw new StoreUnavailableError("lost on the way to the store");
        const answer: unknown = await Reflect.apply(value, target, args);
        if (loss === "after") throw new StoreUnavailableError("lost on the way back");
        return answer;
      };
    },
  });
  return {
    store,
    lose: (method, loss) => void losses.set(method, loss),
    get isSpent() {
      return losses.size === 0;
    },
  };
}
