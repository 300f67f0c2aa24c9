import type { Database, DatabaseOptions, Queryable, Statement, Transaction } from "@headroom/postgres";
import { retryTransaction } from "@headroom/postgres";
import type { SimProcess } from "../engine/sim-process.ts";
import type { Answer, RealSession } from "./real-sessions.ts";
import type { SimPostgres } from "./sim-postgres.ts";
import type { Turns } from "./turns.ts";

export interface SimDatabaseOptions extends Omit<DatabaseOptions, "connection"> {
  readonly server: SimPostgres;
  readonly owner: SimProcess;
}

const pingStatement: Statement<object> = { name: "sim_ping", text: "SELECT 1" };
/** A server that says nothing at all is given up. */
const silenceMs = 30_000;

function lostError(): Error {
  return Object.assign(new Error("Connection terminated unexpectedly (simulated)"), { code: "ECONNRESET" });
}

function refusedError(): Error {
  return Object.assign(new Error("connect ECONNREFUSED (simulated)"), { code: "ECONNREFUSED" });
}

function serializationError(): Error {
  return Object.assign(new Error("could not serialize access (simulated)"), { code: "40001" });
}

/** One process's pool on one schema of the simulated server. */
export function createSimDatabase(options: SimDatabaseOptions): Database {
  const { server, owner, schema, ports } = options;
  const session = server.session(schema);
  const turns = server.turns(schema);
  const retried = <T>(attempt: () => Promise<T>, maxAttempts = 5): Promise<T> =>
    retryTransaction(attempt, { ports, maxAttempts, onRetry: () => undefined });
  const once = (statement: Statement<object>, values: readonly unknown[]): Promise<Answer> =>
    travel(server, owner, statement, (reply) =>
      turns.take(() => {
        server.engine.schedule(0, null, `runs ${statement.name}`, async () => {
          try {
            reply.done(await session.run(statement, values, server.nowMs, server.nowMs));
            if (statement.text.includes("pg_notify")) await server.tellNotifications();
          } catch (error) {
            reply.failed(error);
          } finally {
            turns.next();
          }
        });
      }),
    );
  const alone = (statement: Statement<object>, values: readonly unknown[]): Promise<Answer> =>
    retried(() => once(statement, values));
  return {
    schema,
    ...queryable(alone),
    transaction: (fn, { maxAttempts } = {}) =>
      retried(() => new SimTransaction(server, owner, session, turns).run(fn), maxAttempts),
    ping: async () => void (await alone(pingStatement, [])),
    stats: () => ({ used: 0, free: 1, waiting: 0 }),
    close: () => Promise.resolve(),
  };
}

function queryable(run: (statement: Statement<object>, values: readonly unknown[]) => Promise<Answer>): Queryable {
  return {
    // The row type is the statement's promise, as with the real pool.
    query: async <Row extends object>(statement: Statement<Row>, values: readonly unknown[] = []) =>
      (await run(statement, values)).rows as Row[],
    execute: async (statement, values = []) => (await run(statement, values)).rowCount,
  };
}

interface Reply {
  done(answer: Answer): void;
  failed(error: unknown): void;
  /** Nobody waits for an answer any more. */
  isOver(): boolean;
}

/**
 * One question and its answer, on their way through virtual time. `arrived` runs at the server, which may hear it though its sender is dead,
 * or never; `broken` when the connection broke on the way there or back.
 */
function travel(
  server: SimPostgres,
  owner: SimProcess,
  { name: what, answerWithinMs = silenceMs }: Pick<Statement<object>, "name" | "answerWithinMs">,
  arrived: (reply: Reply) => void,
  broken: () => void = () => undefined,
): Promise<Answer> {
  const { engine, weather } = server;
  return new Promise<Answer>((resolve, reject) => {
    let isOver = false;
    const answer = (how: "answered" | "lost" | "refused", tell: () => void): void => {
      if (isOver) return;
      isOver = true;
      forget();
      silence.cancel();
      if (how !== "answered") server.failed(what);
      engine.schedule(server.delayMs(), owner, `${how} ${what}`, tell);
    };
    const lost = (): void => {
      answer("lost", () => reject(lostError()));
      broken();
    };
    const forget = server.whileUp(lost);
    const silence = engine.schedule(answerWithinMs, owner, `silence after ${what}`, lost);
    if (weather.isDown) return answer("refused", () => reject(refusedError()));
    if (server.loses(what)) return lost();
    engine.schedule(server.delayMs(), null, `${owner.name} asks ${what}`, () => {
      if (isOver) return;
      arrived({
        done: (result) => {
          server.executed(owner, what);
          if (server.chance(weather.lostAfter)) lost();
          else answer("answered", () => resolve(result));
        },
        failed: (error) => answer("refused", () => reject(error instanceof Error ? error : new Error(String(error)))),
        isOver: () => isOver,
      });
    });
  });
}

/** One transaction: it holds its schema's turn from BEGIN until it has ended, and ends with its process or its connection. */
class SimTransaction {
  readonly #server: SimPostgres;
  readonly #owner: SimProcess;
  readonly #session: RealSession;
  readonly #turns: Turns;
  #beganMs = 0;
  #state: "before" | "open" | "over" = "before";
  #notifies = false;
  #forget: () => void = () => undefined;

  constructor(server: SimPostgres, owner: SimProcess, session: RealSession, turns: Turns) {
    this.#server = server;
    this.#owner = owner;
    this.#session = session;
    this.#turns = turns;
  }

  async run<T>(fn: (tx: Transaction) => Promise<T>): Promise<T> {
    await this.#begin();
    let result: T;
    try {
      result = await fn(queryable((statement, values) => this.#ask(statement, values)));
    } catch (error) {
      await this.#end("ROLLBACK").catch(() => undefined);
      throw error;
    }
    await this.#end("COMMIT");
    return result;
  }

  #begin(): Promise<Answer> {
    const begin = (reply: Reply): void =>
      this.#turns.take(() =>
        this.#atServer("BEGIN", async () => {
          if (this.#owner.isDead || reply.isOver()) return this.#turns.next();
          this.#beganMs = this.#server.nowMs;
          this.#state = "open";
          const gone = (): void => this.#abandon();
          this.#server.countTransaction(this.#owner, 1);
          const forgetDeath = this.#owner.onDeath(gone);
          const forgetUp = this.#server.whileUp(gone);
          this.#forget = () => {
            forgetDeath();
            forgetUp();
            this.#server.countTransaction(this.#owner, -1);
          };
          await this.#session.command("BEGIN");
          reply.done({ rows: [], rowCount: 0 });
        }),
      );
    return travel(this.#server, this.#owner, { name: "BEGIN" }, begin, () => this.#abandon());
  }

  #ask(statement: Statement<object>, values: readonly unknown[]): Promise<Answer> {
    return travel(
      this.#server,
      this.#owner,
      statement,
      (reply) =>
        this.#atServer(statement.name, async () => {
          if (this.#state !== "open") return reply.failed(lostError());
          try {
            reply.done(await this.#session.run(statement, values, this.#beganMs, this.#server.nowMs));
            if (statement.text.includes("pg_notify")) this.#notifies = true;
          } catch (error) {
            reply.failed(error);
          }
        }),
      () => this.#abandon(),
    );
  }

  #end(how: "COMMIT" | "ROLLBACK"): Promise<Answer> {
    return travel(
      this.#server,
      this.#owner,
      { name: how },
      (reply) =>
        this.#atServer(how, async () => {
          if (this.#state !== "open") return reply.failed(lostError());
          const refused = how === "COMMIT" && this.#server.chance(this.#server.weather.conflicts);
          await this.#close(refused ? "ROLLBACK" : how);
          if (refused) reply.failed(serializationError());
          else reply.done({ rows: [], rowCount: 0 });
        }),
      () => this.#abandon(),
    );
  }

  /** Process or connection are gone: the server rolls back as soon as it can. */
  #abandon(): void {
    if (this.#state !== "open") return;
    this.#state = "over";
    this.#forget();
    this.#atServer("ROLLBACK of what was abandoned", async () => {
      await this.#session.command("ROLLBACK");
      this.#turns.next();
    });
  }

  async #close(how: "COMMIT" | "ROLLBACK"): Promise<void> {
    this.#state = "over";
    this.#forget();
    await this.#session.command(how);
    if (how === "COMMIT" && this.#notifies) await this.#server.tellNotifications();
    this.#turns.next();
  }

  #atServer(what: string, action: () => Promise<void> | void): void {
    this.#server.engine.schedule(0, null, `runs ${what}`, action);
  }
}
