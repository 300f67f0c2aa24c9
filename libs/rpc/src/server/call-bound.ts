export interface CallBoundOptions {
  /** Calls at once, of all connections. */
  readonly max: number;
  /** Ends the connection of this peer, and with it its calls. */
  readonly endConnection: (peer: string) => void;
}

/** Of one connection. */
interface Held {
  calls: number;
}

/**
 * A bound of calls that no crowd can keep others out of: when it is reached, the connection that has most of them is ended, of several the one
 * that has had some for longest. A newcomer is refused only when no other connection has as many as its own.
 */
export class CallBound {
  readonly #options: CallBoundOptions;
  /** By peer, in the order in which they came to have calls. */
  readonly #held = new Map<string, Held>();
  #calls = 0;

  constructor(options: CallBoundOptions) {
    this.#options = options;
  }

  /** Answers what to call when the call is over, as often as one likes; null: there is no room for it. */
  take(peer: string): (() => void) | null {
    if (this.#calls >= this.#options.max && !this.#makeRoomFor(peer)) return null;
    const held = this.#held.get(peer) ?? { calls: 0 };
    this.#held.set(peer, held);
    held.calls += 1;
    this.#calls += 1;
    let isOver = false;
    return () => {
      if (isOver || this.#held.get(peer) !== held) return;
      isOver = true;
      held.calls -= 1;
      this.#calls -= 1;
      if (held.calls === 0) this.#held.delete(peer);
    };
  }

  /** The connection of a peer is gone, and with it its calls. */
  forget(peer: string): void {
    this.#calls -= this.#held.get(peer)?.calls ?? 0;
    this.#held.delete(peer);
  }

  #makeRoomFor(newcomer: string): boolean {
    const own = this.#held.get(newcomer)?.calls ?? 0;
    let most: string | undefined;
    let mostCalls = Math.max(own - 1, 0);
    for (const [peer, { calls }] of this.#held) {
      if (peer === newcomer || calls <= mostCalls) continue;
      most = peer;
      mostCalls = calls;
    }
    if (most === undefined) return false;
    this.forget(most);
    this.#options.endConnection(most);
    return true;
  }
}
