import pg from "pg";
import { nextTurn, type Timers, sleep } from "@headroom/runtime";
import { clientConfig, type ConnectionTarget } from "./connection.ts";
import { bytesRead } from "./knex-pool.ts";

/**
 * Whether a server says nothing to a small question on a connection of its own, within this time. A refusal is an answer. Whoever wants to know has
 * waited on other connections before, of which each may be busy.
 */
export async function saysNothing(options: {
  readonly connection: ConnectionTarget;
  readonly applicationName: string;
  readonly withinMs: number;
  readonly timers: Timers;
}): Promise<boolean> {
  // Its own limit never comes first: it would read like an answer.
  const connectTimeoutMs = 2 * options.withinMs;
  const client = new pg.Client(clientConfig(options.connection, { ...options, connectTimeoutMs }));
  client.on("error", () => undefined);
  let isAnswered = false;
  const noteAnswer = (): void => void (isAnswered = true);
  const abort = new AbortController();
  const answered = client
    .connect()
    .then(() => client.query("SELECT 1"))
    .then(noteAnswer, noteAnswer);
  const tooLate = sleep(options.timers, options.withinMs, abort.signal).catch(() => undefined);
  await Promise.race([answered, tooLate]);
  abort.abort();
  // A process that stood still hears its timers first, and then what has come meanwhile.
  const heardBytes = bytesRead(client);
  if (!isAnswered) await nextTurn();
  isAnswered ||= bytesRead(client) > heardBytes;
  if (isAnswered) void client.end().catch(() => undefined);
  else client.connection.stream.destroy();
  return !isAnswered;
}
