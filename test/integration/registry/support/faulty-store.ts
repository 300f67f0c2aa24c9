/** A store that loses questions or answers when told to, as a network or a crash does. */
import { type RegistryStore, StoreUnavailableError } from "@headroom/registry";
import { createDeferred, type Deferred } from "@headroom/runtime";

/** `before`: the change does not happen; `after`: it happens and nobody learns of it. */
export type Loss = "before" | "after";

export interface FaultyStore {
  readonly store: RegistryStore;
  /** The next call of this method is lost in this way. */
  lose(method: keyof RegistryStore, loss: Loss): void;
  /** The next call of this method waits before it reaches the store; with `after` it has its answer, which waits. */
  hold(method: keyof RegistryStore, when?: Loss): Held;
  /** All losses asked for have happened. */
  readonly isSpent: boolean;
}

/** A call that waits. */
export interface Held {
  /** Resolves when the call, or its answer, has come. */
  readonly come: Promise<void>;
  letGo(): void;
}

export function faultyStore(inner: RegistryStore): FaultyStore {
  const losses = new Map<string, Loss>();
  const holds = new Map<
    string,
    { readonly when: Loss; readonly came: Deferred<void>; readonly gone: Deferred<void> }
  >();
  const store = new Proxy(inner, {
    get(target, method, receiver) {
      const value: unknown = Reflect.get(target, method, receiver);
      if (typeof value !== "function" || typeof method !== "string") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const held = holds.get(method);
        holds.delete(method);
        const waits = async (when: Loss): Promise<void> => {
          if (held?.when !== when) return;
          held.came.resolve();
          await held.gone.promise;
        };
        await waits("before");
        const loss = losses.get(method);
        losses.delete(method);
        if (loss === "before") throw new StoreUnavailableError("lost on the way to the store");
        const answer: unknown = await Reflect.apply(value, target, args);
        await waits("after");
        if (loss === "after") throw new StoreUnavailableError("lost on the way back");
        return answer;
      };
    },
  });
  return {
    store,
    lose: (method, loss) => void losses.set(method, loss),
    hold(method, when = "before") {
      const held = { when, came: createDeferred(), gone: createDeferred() };
      holds.set(method, held);
      return { come: held.came.promise, letGo: () => held.gone.resolve() };
    },
    get isSpent() {
      return losses.size === 0;
    },
  };
}
