import { rmdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import {
  isDiskFull,
  type Logger,
  makeFolders,
  type OwnerLock,
  ownerInWords,
  type Ports,
  systemPorts,
  takeOwnerLock,
} from "@headroom/runtime";
import { type Access, connectionUrl, prepareAccess } from "./access.ts";
import { findBinaries } from "./binaries.ts";
import { chooseAccount, clusterVersion, createCluster, writeSettings } from "./cluster.ts";
import { createDatabaseIfMissing } from "./database.ts";
import { findDataFolder, hasLockBeside, takeFromBeside } from "./data-folder.ts";
import { DataDirInUseError, DataDirUnusableError, EmbeddedPostgresError } from "./errors.ts";
import type { Postmaster } from "./postmaster.ts";
import { openTheWay } from "./reach.ts";
import { findRunningServer, type ServerPlace, startServer, stopServer } from "./server.ts";
import { logDirOf, pruneLogs } from "./server-log.ts";
import { refuseServerElsewhere, tellServerPlace } from "./server-place.ts";
import { type Watch, watchServer } from "./watch.ts";

export interface EmbeddedOptions {
  /** PostgreSQL's data folder; created if missing. Beside it, where it is a symbolic link beside the folder itself, lie `<dataDir>.lock`, `<dataDir>.place` and `<dataDir>.socket`. */
  readonly dataDir: string;
  readonly logger: Logger;
  /** Default: the system's. */
  readonly ports?: Ports;
  /** Folder of the Unix socket, mode 0700. Default: `<dataDir>.socket`, or a short one in the OS's temporary folder. */
  readonly socketDir?: string;
  /** Created if missing. Default "headroom". */
  readonly database?: string;
  /** Where a copy of the programs goes if the account cannot read the package. Default `<dataDir>.programs`. */
  readonly programsDir?: string;
  /** Settings of postgresql.conf on top of ours. For tests. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Told, for people, what a start waits for that takes long. */
  readonly say?: (line: string) => void;
  /** Ends the wait for signs of life of an owner elsewhere; it rejects with its reason. */
  readonly signal?: AbortSignal;
  /** PostgreSQL crashed again and again and is not started any more. */
  readonly onGaveUp?: (error: Error) => void;
}

/** A running PostgreSQL of our own. Usable as a ConnectionTarget. */
export interface EmbeddedPostgres {
  readonly connectionString: string;
  readonly dataDir: string;
  /** PostgreSQL's own log: at most five files of 5 MB. */
  readonly logDir: string;
  /** true: it ran already, its former owner having died without stopping it. */
  readonly adopted: boolean;
  /** The server's process; null between a crash and its restart, and after stop. */
  pid(): number | null;
  /** Fast shutdown, and lets other owners in. Idempotent; resolves when the server is gone. */
  stop(): Promise<void>;
}

/**
 * Runs a real PostgreSQL on `dataDir` for as long as this process owns it: starts it (or adopts the one that a killed
 * owner left running), restarts it when it crashes, and stops it with `stop()`. Clients come by a Unix socket that
 * only this user can reach; on Windows by loopback TCP with a generated password.
 * Throws DataDirInUseError, BinariesMissingError, DataDirUnusableError, InitFailedError.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const wanted = resolve(options.dataDir);
  try {
    await makeFolders(dirname(wanted), 0o755);
    // Two names of one folder must find the same lock.
    const { dataDir, link } = await findDataFolder(wanted);
    const lock = await becomeOwner(dataDir, options);
    try {
      if (link !== null) await takeOver(link, dataDir, options);
      await refuseServerElsewhere(dataDir);
      const place = await preparePlace(dataDir, options);
      return supervise(place, await adoptOrStart(place, options), lock, options);
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    throw withWayOut(error, wanted);
  }
}

/** From an earlier version, which ran by the link. Throws DataDirInUseError while it still does. */
async function takeOver(link: string, dataDir: string, options: EmbeddedOptions): Promise<void> {
  if (await hasLockBeside(link)) await (await becomeOwner(link, options)).release();
  await takeFromBeside(link, dataDir);
}

async function becomeOwner(
  dataDir: string,
  { logger, ports = systemPorts, say, signal }: EmbeddedOptions,
): Promise<OwnerLock> {
  const owner = await takeOwnerLock(`${dataDir}.lock`, {
    clock: ports.clock,
    timers: ports.timers,
    signal,
    onWatch(watched) {
      const what = `looking for up to 15 s whether ${ownerInWords(watched)} still runs the PostgreSQL of ${dataDir}`;
      logger.warn({ ...watched, data_dir: dataDir }, what);
      say?.(what);
    },
    onLost: ({ pid, elsewhere }) =>
      logger.error(
        { pid, elsewhere, data_dir: dataDir },
        "this process stood still, and another one has taken the PostgreSQL's folder: it is not started again from here",
      ),
  });
  if (owner.kind === "held") throw new DataDirInUseError(dataDir, owner);
  return owner.lock;
}

/** What the file system refuses (no permission, read-only, full) says nothing of what to do. */
function withWayOut(error: unknown, dataDir: string): unknown {
  if (error instanceof EmbeddedPostgresError || !(error instanceof Error)) return error;
  // A write that fails for want of room does not say where.
  if (!("path" in error) && !isDiskFull(error)) return error;
  return new DataDirUnusableError(
    `${dataDir} cannot be used (${error.message}): choose another folder with HEADROOM_DATA_DIR or --data-dir, or set DATABASE_URL`,
    { cause: error },
  );
}

interface StartedServer {
  readonly postmaster: Postmaster;
  readonly access: Access;
  readonly adopted: boolean;
  readonly database: string;
}

async function preparePlace(dataDir: string, options: EmbeddedOptions): Promise<ServerPlace> {
  const account = await chooseAccount(dataDir);
  if (account !== undefined) await openTheWay(dirname(dataDir), account);
  const binaries = await findBinaries({ account, copyDir: options.programsDir ?? `${dataDir}.programs` });
  const version = await clusterVersion(dataDir);
  if (version !== null && version !== binaries.majorVersion) {
    throw new DataDirUnusableError(
      `${dataDir} was made by PostgreSQL ${version}, and the installed one is ${binaries.majorVersion}: ` +
        `install the matching package, or move the data over with pg_upgrade, or choose another HEADROOM_DATA_DIR`,
    );
  }
  return { dataDir, binaries, account, ports: options.ports ?? systemPorts };
}

async function adoptOrStart(place: ServerPlace, options: EmbeddedOptions): Promise<StartedServer> {
  const { dataDir, account } = place;
  const database = options.database ?? "headroom";
  const access = await prepareAccess(dataDir, options.socketDir, account);
  const running = await findRunningServer(place, access);
  if (running !== null) {
    options.logger.info({ pid: running.postmaster.pid, data_dir: dataDir }, "adopted the running PostgreSQL");
    await createDatabaseIfMissing(running.access, database);
    await tellServerPlace(dataDir);
    return { ...running, adopted: true, database };
  }
  if ((await clusterVersion(dataDir)) === null) {
    options.logger.info({ data_dir: dataDir }, "creating the PostgreSQL data folder");
    await createCluster(dataDir, place.binaries, access, account);
  }
  await writeSettings(dataDir, access, options.settings ?? {}, account);
  await tellServerPlace(dataDir);
  const postmaster = await startServer(place, access);
  try {
    await createDatabaseIfMissing(access, database);
  } catch (error) {
    await stopServer(place);
    throw error;
  }
  options.logger.info({ pid: postmaster.pid, data_dir: dataDir, log_dir: logDirOf(dataDir) }, "PostgreSQL runs");
  return { postmaster, access, adopted: false, database };
}

function supervise(
  place: ServerPlace,
  server: StartedServer,
  lock: OwnerLock,
  options: EmbeddedOptions,
): EmbeddedPostgres {
  const watch: Watch = watchServer({
    postmaster: server.postmaster,
    ports: place.ports,
    logger: options.logger,
    dataDir: place.dataDir,
    async restart() {
      // This process may have stood still for long, and others taken the folder.
      if (!(await lock.isHeld())) throw new DataDirUnusableError(`${place.dataDir} belongs to another owner now`);
      await refuseServerElsewhere(place.dataDir);
      // Somebody may have started it by hand meanwhile.
      const running = await findRunningServer(place, server.access);
      return running?.postmaster ?? startServer(place, server.access);
    },
    tidy: () => pruneLogs(place.dataDir),
    onGaveUp: (error) => options.onGaveUp?.(error),
  });
  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    await watch.stop();
    await stopServer(place);
    // Only ours, and only if empty; it may lie in the temporary folder, where nobody would ever clear it away.
    if (server.access.kind === "socket" && options.socketDir === undefined) {
      await rmdir(server.access.dir).catch(() => undefined);
    }
    await lock.release();
    options.logger.info({ data_dir: place.dataDir }, "PostgreSQL stopped");
  }
  return {
    connectionString: connectionUrl(server.access, server.database),
    dataDir: place.dataDir,
    logDir: logDirOf(place.dataDir),
    adopted: server.adopted,
    pid: () => watch.pid(),
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}
