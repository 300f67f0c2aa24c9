import type { ListenerOptions, PostgresServer } from "@headroom/postgres";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { RealSession, RealSessions } from "./real-sessions.ts";
import { createSimDatabase } from "./sim-database.ts";
import { SimListener } from "./sim-listener.ts";
import { Turns } from "./turns.ts";

/** How the database treats its callers at the moment. */
export interface DatabaseWeather {
  /** No new statement is taken, and open transactions are gone. */
  isDown: boolean;
  /** Of a statement's way there, and back, in ms. */
  readonly delayMs: { min: number; max: number };
  /** Chances of one statement: its connection breaks before it arrives; after it took effect. */
  lostBefore: number;
  lostAfter: number;
  /** Chance of a transaction that the server asks to run again instead of committing. */
  conflicts: number;
  /** Chance of a notification that nobody hears. */
  unheard: number;
}

export const fairWeather: DatabaseWeather = {
  isDown: false,
  delayMs: { min: 0.2, max: 2 },
  lostBefore: 0,
  lostAfter: 0,
  conflicts: 0,
  unheard: 0,
};

interface Doom {
  readonly statement: string | null;
  left: number;
  readonly befall: () => void;
}

/**
 * A real PostgreSQL in a virtual world: statements travel there and back in virtual time, and are executed for real, by the world's clock,
 * while that stands still. Transactions of one schema come one after the other.
 */
export class SimPostgres {
  readonly engine: Engine;
  readonly weather: DatabaseWeather = { ...fairWeather, delayMs: { ...fairWeather.delayMs } };
  readonly #real: RealSessions;
  readonly #turns = new Map<string, Turns>();
  readonly #listeners = new Set<SimListener>();
  /** Ends what is open, when the server goes down. */
  readonly #open = new Set<() => void>();
  /** Statements that their senders think have failed, by this server's clock. */
  readonly failures: { readonly statement: string; readonly atMs: number }[] = [];
  readonly #doomed = new Map<SimProcess, Doom>();
  readonly #inTransaction = new Map<SimProcess, number>();
  readonly #toLose = new Set<string>();
  /** Its clock, against the true one. */
  clockOffsetMs = 0;

  constructor(engine: Engine, real: RealSessions) {
    this.engine = engine;
    this.#real = real;
  }

  get nowMs(): number {
    return this.engine.wallMs + this.clockOffsetMs;
  }

  session(schema: string): RealSession {
    const session = this.#real.sessions.get(schema);
    if (session === undefined) throw new Error(`there is no session for schema ${schema}`);
    return session;
  }

  turns(schema: string): Turns {
    const turns = this.#turns.get(schema) ?? new Turns();
    this.#turns.set(schema, turns);
    return turns;
  }

  delayMs(): number {
    const { min, max } = this.weather.delayMs;
    return min + this.engine.random.next() * (max - min);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.engine.random.next() < probability;
  }

  /** Something that ends when the server goes down; answers how to forget it. */
  whileUp(end: () => void): () => void {
    this.#open.add(end);
    return () => void this.#open.delete(end);
  }

  /**
   * Something befalls a process when so many more of its statements have been executed, before it hears of the last. `statement`: its
   * name, where only that counts; BEGIN and COMMIT have one too.
   */
  befallAfter(owner: SimProcess, statement: string | null, times: number, befall: () => void): void {
    this.#doomed.set(owner, { statement, left: times, befall });
  }

  /** One of its statements has been executed. */
  executed(owner: SimProcess, statement: string): void {
    const doom = this.#doomed.get(owner);
    if (doom === undefined || (doom.statement !== null && doom.statement !== statement)) return;
    doom.left -= 1;
    if (doom.left > 0) return;
    this.#doomed.delete(owner);
    this.engine.schedule(0, null, `${owner.name} has reached the statement`, doom.befall);
  }

  /** The connection of whoever asks this statement next breaks before it arrives. */
  loseNext(statement: string): void {
    this.#toLose.add(statement);
  }

  /** Whether this one does not arrive. */
  loses(statement: string): boolean {
    return this.#toLose.delete(statement) || this.chance(this.weather.lostBefore);
  }

  /** Whatever was to be lost arrives after all. */
  spare(): void {
    this.#toLose.clear();
  }

  /** One that was not answered well. */
  failed(statement: string): void {
    this.failures.push({ statement, atMs: this.nowMs });
  }

  /** A process has so many transactions open, more or fewer. */
  countTransaction(owner: SimProcess, change: 1 | -1): void {
    this.#inTransaction.set(owner, (this.#inTransaction.get(owner) ?? 0) + change);
  }

  isInTransaction(owner: SimProcess): boolean {
    return (this.#inTransaction.get(owner) ?? 0) > 0;
  }

  goDown(): void {
    this.weather.isDown = true;
    for (const end of [...this.#open]) end();
    for (const listener of this.#listeners) listener.lose();
  }

  comeBack(): void {
    this.weather.isDown = false;
  }

  /** After a commit: tells listeners what was notified in it. */
  async tellNotifications(): Promise<void> {
    for (const { channel, payload } of await this.#real.takeNotifications()) {
      for (const listener of this.#listeners) {
        if (!this.chance(this.weather.unheard)) listener.hear(channel, payload, this.delayMs());
      }
    }
  }

  /** The server as one process reaches it. */
  serverFor(owner: SimProcess): PostgresServer {
    return {
      database: (options) => createSimDatabase({ server: this, owner, ...options }),
      listener: (options: Omit<ListenerOptions, "connection">) => {
        const listener = new SimListener(this, owner, options);
        this.#listeners.add(listener);
        owner.onDeath(() => this.#listeners.delete(listener));
        return listener;
      },
      prepare: async ({ signal, schema, logger, ports }) => {
        const database = createSimDatabase({ server: this, owner, schema, applicationName: "", logger, ports });
        for (;;) {
          signal.throwIfAborted();
          try {
            await database.ping();
            return;
          } catch {
            await new Promise<void>((resolve) => void ports.timers.after(500, resolve));
          }
        }
      },
    };
  }
}
