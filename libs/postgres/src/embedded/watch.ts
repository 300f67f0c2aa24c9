import { isDiskFull, isSameProcess, jitter, type Logger, type Ports, sleep } from "@headroom/runtime";
import { EmbeddedPostgresError, InitFailedError } from "./errors.ts";
import type { Postmaster } from "./postmaster.ts";
import { logDirOf, readLogTail } from "./server-log.ts";

export interface WatchOptions {
  readonly postmaster: Postmaster;
  readonly dataDir: string;
  readonly ports: Ports;
  readonly logger: Logger;
  /** Starts the server again; throws if it cannot. */
  restart(): Promise<Postmaster>;
  /** Called once a minute. */
  tidy(): Promise<void>;
  /** The server failed `maxRestarts` times in a row and is left alone from now on. */
  onGaveUp(error: Error): void;
}

/** Watches over one server. */
export interface Watch {
  pid(): number | null;
  /** Idempotent; resolves when no restart is under way and none will come. */
  stop(): Promise<void>;
}

/** A look costs one read of /proc; PostgreSQL's clients notice a crash by themselves and at once. */
const lookEveryMs = 500;
const tidyEveryMs = 60_000;
const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** Up for this long counts as well again. */
const steadyAfterMs = 60_000;
const maxRestarts = 10;

/** PostgreSQL's word for it, in its log. */
const noRoom = /No space left on device|Disk quota exceeded/i;

/**
 * Looks after the server until stopped: restarts it when its process is gone, with pauses from 0.2 s to 10 s. A disk without room is
 * waited for, however long: it is no fault of the server's.
 */
export function watchServer(options: WatchOptions): Watch {
  const abort = new AbortController();
  let current: Postmaster | null = options.postmaster;
  const loop = run();

  async function run(): Promise<void> {
    const { clock, timers } = options.ports;
    let upSinceMs = clock.monotonic();
    let tidiedMs = upSinceMs;
    let failures = 0;
    while (!abort.signal.aborted) {
      await sleep(timers, lookEveryMs, abort.signal, { keepAlive: false }).catch(() => undefined);
      const nowMs = clock.monotonic();
      if (nowMs - tidiedMs >= tidyEveryMs) {
        tidiedMs = nowMs;
        await options.tidy().catch(() => undefined);
      }
      if (abort.signal.aborted || (await isUp())) continue;
      if (nowMs - upSinceMs >= steadyAfterMs) failures = 0;
      current = null;
      failures = await bringBack(failures);
      if (failures > maxRestarts) return;
      upSinceMs = clock.monotonic();
    }
  }

  async function isUp(): Promise<boolean> {
    // When it cannot be told it is not taken for dead.
    return current !== null && (await isSameProcess(current.pid, current.startTime).catch(() => true));
  }

  /** Tries until the server runs, it is hopeless, or we are stopped; returns the number of tries in a row so far. */
  async function bringBack(failuresBefore: number): Promise<number> {
    const { logger, ports, dataDir } = options;
    let failures = failuresBefore;
    let lastError: unknown = new Error("PostgreSQL ended unexpectedly");
    logger.error({ log_dir: logDirOf(dataDir) }, "PostgreSQL ended unexpectedly; starting it again");
    // Many lines: for the log file, not for a terminal that shows errors.
    logger.info({ data_dir: dataDir, log_tail: await readLogTail(dataDir) }, "the end of PostgreSQL's own log");
    let waitsForRoom = false;
    while (!abort.signal.aborted) {
      failures += 1;
      if (failures > maxRestarts) {
        giveUp(lastError);
        return failures;
      }
      const pauseMs = waitsForRoom ? longestPauseMs : Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
      await sleep(ports.timers, jitter(ports.random, pauseMs, 0.1), abort.signal, { keepAlive: false }).catch(
        () => undefined,
      );
      if (abort.signal.aborted) break;
      try {
        current = await options.restart();
        logger.warn({ pid: current.pid, data_dir: dataDir, tries: failures }, "PostgreSQL runs again");
        return failures;
      } catch (error) {
        lastError = error;
        if (lacksRoom(error)) {
          failures -= 1;
          if (!waitsForRoom)
            logger.error({ data_dir: dataDir }, "the disk is full: PostgreSQL starts again when there is room");
          waitsForRoom = true;
          continue;
        }
        waitsForRoom = false;
        logger.error({ err: error, data_dir: dataDir, tries: failures }, "PostgreSQL could not be started again");
      }
    }
    return failures;
  }

  function giveUp(cause: unknown): void {
    const error = new EmbeddedPostgresError(
      `PostgreSQL on ${options.dataDir} failed ${maxRestarts} times in a row and is left alone; its log says why, then start Headroom again`,
      { cause },
    );
    options.logger.error({ err: error, data_dir: options.dataDir }, error.message);
    options.onGaveUp(error);
  }

  return {
    pid: () => current?.pid ?? null,
    async stop() {
      abort.abort(new Error("the supervisor was stopped"));
      await loop;
      current = null;
    },
  };
}

function lacksRoom(error: unknown): boolean {
  return isDiskFull(error) || (error instanceof InitFailedError && noRoom.test(error.logTail));
}
