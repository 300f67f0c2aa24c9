import type { Socket } from "node:net";
import type { Logger, Timer, Timers } from "@headroom/runtime";

export interface ConnectionBounds {
  /** Connections at once. */
  readonly maxConnections: number;
  /** Of these, such that have not asked for anything yet. */
  readonly maxSilent: number;
  /** How long a connection may take to its first request, TLS included. */
  readonly firstRequestMs: number;
}

export interface ConnectionGateOptions extends ConnectionBounds {
  /** For the log: "registry gRPC". */
  readonly name: string;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Why a connection was ended by us. */
type Ending =
  | "silent too long"
  | "silent, and room was needed"
  | "idle, and room was needed"
  | "unfinished request"
  | "calls that do not end"
  | "answer not read"
  | "refused";

interface Entry {
  readonly socket: Socket;
  readonly peer: string;
  /** Until its first request. */
  readonly silence: Timer;
  requests: number;
}

/** A peer that does not take our end is cut off then. */
const lingerMs = 10_000;
/** What happens thousands of times a second is told once in this time. */
const toldEveryMs = 10_000;

/**
 * Keeps connections that do nothing from taking the place of those that work. When there are too many, the one that has been silent longest
 * goes, then the one that has been idle longest; a newcomer is refused only when all others have requests open.
 */
export class ConnectionGate {
  readonly #options: ConnectionGateOptions;
  readonly #entries = new Map<string, Entry>();
  /** Both in the order in which they became so: sets keep it. */
  readonly #silent = new Set<Entry>();
  readonly #idle = new Set<Entry>();
  readonly #ended = new Map<Ending, number>();
  #isTelling = false;

  constructor(options: ConnectionGateOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A connection has been accepted. False: it was refused, and is gone. */
  admit(socket: Socket): boolean {
    const { maxConnections, maxSilent, firstRequestMs, timers } = this.#options;
    if (this.#silent.size >= maxSilent) this.#endFirst(this.#silent, "silent, and room was needed");
    if (this.#entries.size >= maxConnections && !this.#makeRoom()) {
      this.#note("refused");
      socket.destroy();
      return false;
    }
    const { remoteAddress, remotePort } = socket;
    // It is gone already.
    if (remoteAddress === undefined) {
      socket.destroy();
      return false;
    }
    const entry: Entry = {
      socket,
      peer: peerKey(remoteAddress, remotePort),
      silence: timers.after(firstRequestMs, () => this.#end(entry, "silent too long"), { keepAlive: false }),
      requests: 0,
    };
    this.#entries.set(entry.peer, entry);
    this.#silent.add(entry);
    socket.once("close", () => this.#forget(entry));
    socket.once("finish", () => timers.after(lingerMs, () => socket.destroy(), { keepAlive: false }));
    return true;
  }

  /** A request has come over the connection of this peer, `address:port`. Answers what to call, once, when it is over. */
  request(peer: string): () => void {
    const entry = this.#entries.get(peer);
    if (entry === undefined) return () => undefined;
    if (this.#silent.delete(entry)) entry.silence.cancel();
    this.#idle.delete(entry);
    entry.requests += 1;
    return () => {
      entry.requests -= 1;
      if (entry.requests === 0 && this.#entries.get(entry.peer) === entry) this.#idle.add(entry);
    };
  }

  /** Ends the connection of a peer, whatever it asks for. */
  end(peer: string, why: Ending): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined) this.#end(entry, why);
  }

  /** Ends those that have not asked for anything; they have nothing to lose. */
  endSilent(): void {
    for (const { socket } of this.#silent) socket.destroy();
  }

  #makeRoom(): boolean {
    return (
      this.#endFirst(this.#silent, "silent, and room was needed") ||
      this.#endFirst(this.#idle, "idle, and room was needed")
    );
  }

  #endFirst(entries: ReadonlySet<Entry>, why: Ending): boolean {
    for (const entry of entries) {
      this.#end(entry, why);
      return true;
    }
    return false;
  }

  #end(entry: Entry, why: Ending): void {
    this.#note(why);
    this.#forget(entry);
    entry.socket.destroy();
  }

  #forget(entry: Entry): void {
    entry.silence.cancel();
    this.#silent.delete(entry);
    this.#idle.delete(entry);
    if (this.#entries.get(entry.peer) === entry) this.#entries.delete(entry.peer);
  }

  #note(why: Ending): void {
    this.#ended.set(why, (this.#ended.get(why) ?? 0) + 1);
    if (this.#isTelling) return;
    this.#isTelling = true;
    this.#options.timers.after(toldEveryMs, () => this.#tell(), { keepAlive: false });
  }

  #tell(): void {
    const { logger, name } = this.#options;
    const ended = Object.fromEntries(this.#ended);
    logger.warn(
      { ended, connections: this.size },
      `${name}: connections that did nothing, or held too much, were ended, or found no room`,
    );
    this.#ended.clear();
    this.#isTelling = false;
  }
}

/** As grpc-js tells a peer. */
export const peerKey = (address: string, port: number | undefined): string => `${address}:${port ?? 0}`;
