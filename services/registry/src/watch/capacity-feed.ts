/**
 * Tells watchers what changed. Each has one set of changed agents, from which it takes when it likes: a slow reader gets
 * a newer state and costs no more memory than the ids of the fleet.
 */
import { createSignal, type WakeSignal } from "@headroom/runtime";
import { type Caller, type HeadroomError, unavailable } from "@headroom/rpc";
import type { Fleet, FleetChange } from "../fleet/fleet.ts";
import { roomAppeared } from "../fleet/room-appeared.ts";

const MAX_WATCHERS = 1_000;
/** Of them without a role: anybody may watch, and must not keep the orchestrators out. */
const MAX_ANONYMOUS = 100;

/** What changed since the watcher took last. */
export interface Changes {
  readonly agentIds: ReadonlySet<string>;
  readonly roomAppeared: boolean;
}

export interface Watcher {
  /** Resolves when something has changed, or the watch has ended; rejects when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
  /** Resolves when room has appeared since the watcher took last, or the watch has ended; rejects when the signal aborts. */
  room(signal: AbortSignal): Promise<void>;
  /** Takes what has changed so far; throws why the watch has ended. */
  take(): Changes;
  close(): void;
}

interface Watching {
  agentIds: Set<string>;
  roomAppeared: boolean;
  endedBy: HeadroomError | null;
  readonly bell: WakeSignal;
  readonly roomBell: WakeSignal;
}

export class CapacityFeed {
  readonly #watching = new Set<Watching>();
  #anonymous = 0;
  #interruption: HeadroomError | null = null;

  constructor(fleet: Fleet) {
    fleet.onChange((change) => this.#onChange(change));
  }

  get watchers(): number {
    return this.#watching.size;
  }

  /** What this process could tell is not true any more: ends all watches with this error, and refuses new ones with it, until `resume`. */
  interrupt(error: HeadroomError): void {
    this.#interruption = error;
    for (const watching of this.#watching) {
      watching.endedBy = error;
      watching.bell.notify();
      watching.roomBell.notify();
    }
  }

  resume(): void {
    this.#interruption = null;
  }

  /** Throws UNAVAILABLE when there are too many, of all or, for a caller without a role, of such; and while watches are interrupted. */
  watch({ roles }: Pick<Caller, "roles">): Watcher {
    if (this.#interruption !== null) throw this.#interruption;
    const isAnonymous = roles.size === 0;
    if (isAnonymous && this.#anonymous >= MAX_ANONYMOUS) {
      throw tooMany(`${MAX_ANONYMOUS} watch the capacity without a token already; show one`);
    }
    if (this.#watching.size >= MAX_WATCHERS) throw tooMany(`${MAX_WATCHERS} watch the capacity already`);
    const watching: Watching = {
      agentIds: new Set(),
      roomAppeared: false,
      endedBy: null,
      bell: createSignal(),
      roomBell: createSignal(),
    };
    this.#watching.add(watching);
    if (isAnonymous) this.#anonymous += 1;
    return {
      changed: (signal) =>
        watching.agentIds.size > 0 || watching.endedBy !== null ? Promise.resolve() : watching.bell.wait(signal),
      async room(signal) {
        // A ring may be of room that was taken since.
        while (!watching.roomAppeared && watching.endedBy === null) await watching.roomBell.wait(signal);
      },
      take() {
        const { agentIds, roomAppeared, endedBy } = watching;
        if (endedBy !== null) throw endedBy;
        watching.agentIds = new Set();
        watching.roomAppeared = false;
        return { agentIds, roomAppeared };
      },
      close: () => {
        if (this.#watching.delete(watching) && isAnonymous) this.#anonymous -= 1;
      },
    };
  }

  #onChange({ agentId, before, after }: FleetChange): void {
    if (this.#watching.size === 0) return;
    const appeared = roomAppeared(before, after);
    for (const watching of this.#watching) {
      watching.agentIds.add(agentId);
      watching.roomAppeared ||= appeared;
      watching.bell.notify();
      if (appeared) watching.roomBell.notify();
    }
  }
}

function tooMany(message: string): HeadroomError {
  return unavailable("TOO_MANY_WATCHERS", message, 5_000);
}
