import type { Listener, Notifier } from "@headroom/postgres";
import { readNotification } from "@headroom/postgres";
import { lifecycle, type ManagedService, type Timers } from "@headroom/runtime";

/** Plans and attempts of which something new was committed. */
const changeChannel = "headroom_orchestrator_changed";

/** Wakes whoever watches a plan or the output of an attempt, on every replica. Only a hint: watchers look by themselves too. */
export interface ChangeHub extends ManagedService {
  changed(id: string): void;
  /** Resolves at the next change of `id` since `watch` was called or since the last wait, or after `maxMs`. */
  watch(id: string): Watch;
}

export interface Watch {
  wait(maxMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

interface Watcher {
  rung: boolean;
  ring: (() => void) | null;
}

export function createChangeHub(options: {
  readonly notifier: Pick<Notifier, "notify">;
  readonly listener: Pick<Listener, "subscribe"> | null;
  readonly timers: Timers;
}): ChangeHub {
  const watchers = new Map<string, Set<Watcher>>();
  let leave: (() => void) | undefined;

  function ring(id: string): void {
    for (const watcher of watchers.get(id) ?? []) {
      watcher.rung = true;
      watcher.ring?.();
    }
  }

  return {
    ...lifecycle({
      name: "change hub",
      start() {
        leave = options.listener?.subscribe(changeChannel, (payload) => {
          const told = readNotification(payload);
          for (const id of told.kind === "everything" ? [...watchers.keys()] : told.items) ring(id);
        });
      },
      stop() {
        leave?.();
        for (const id of [...watchers.keys()]) ring(id);
      },
    }),
    changed(id) {
      ring(id);
      options.notifier.notify(changeChannel, id);
    },
    watch(id) {
      const watcher: Watcher = { rung: false, ring: null };
      const same = watchers.get(id) ?? new Set();
      watchers.set(id, same.add(watcher));
      return {
        wait: (maxMs, signal) => waitFor(watcher, options.timers, maxMs, signal),
        close() {
          same.delete(watcher);
          if (same.size === 0 && watchers.get(id) === same) watchers.delete(id);
        },
      };
    },
  };
}

function waitFor(watcher: Watcher, timers: Timers, maxMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", end);
      watcher.ring = null;
      watcher.rung = false;
      resolve();
    };
    const timer = timers.after(maxMs, end);
    signal.addEventListener("abort", end, { once: true });
    watcher.ring = end;
    if (watcher.rung || signal.aborted) end();
  });
}
