import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type EmbeddedPostgres, startEmbedded } from "@headroom/postgres";
import { type Logger, silentLogger } from "@headroom/runtime";
import { makeTempDir } from "./temp-dir.ts";

/** A PostgreSQL of one test's own, to be stopped and killed at will. Usable as a ConnectionTarget. */
export interface PrivatePostgres {
  /** Stays the same over stop and start. */
  readonly connectionString: string;
  readonly dataDir: string;
  /** The server's process; null while it does not run. */
  pid(): number | null;
  /** Stops the server; clients see it shut down. Idempotent. */
  stop(): Promise<void>;
  /** Starts it again after `stop`, on the same data. Idempotent. */
  start(): Promise<void>;
  /** Kills the server as a crash would; its supervisor starts it again within a second or two. */
  kill9(): void;
  /** Stops it and deletes its data; for `afterAll`. Idempotent. */
  remove(): Promise<void>;
}

/** Where programs are copied once for all tests, if they must be copied at all. */
export const sharedProgramsDir: string = join(tmpdir(), `headroom-test-programs-${userInfo().uid}`);

/** Starts an embedded PostgreSQL, in a temporary folder unless told otherwise: about a second. */
export async function startPrivatePostgres(
  options: {
    readonly logger?: Logger;
    /** An empty folder for its data, which is left as it is at the end. Default: one of its own. */
    readonly dir?: string;
  } = {},
): Promise<PrivatePostgres> {
  const dir = options.dir === undefined ? await makeTempDir("pg") : { path: options.dir, remove: () => undefined };
  const logger = options.logger ?? silentLogger;
  const dataDir = join(dir.path, "data");
  const begin = (): Promise<EmbeddedPostgres> => startEmbedded({ dataDir, logger, programsDir: sharedProgramsDir });
  let server: EmbeddedPostgres | undefined = await begin();
  const { connectionString } = server;
  const stop = async (): Promise<void> => {
    await server?.stop();
    server = undefined;
  };
  return {
    connectionString,
    dataDir,
    pid: () => server?.pid() ?? null,
    stop,
    async start() {
      server ??= await begin();
    },
    kill9() {
      const pid = server?.pid();
      if (pid === null || pid === undefined) throw new Error("this PostgreSQL does not run");
      process.kill(pid, "SIGKILL");
    },
    async remove() {
      await stop();
      await dir.remove();
    },
  };
}
