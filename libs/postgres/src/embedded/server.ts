import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { type Ports, sleep } from "@headroom/runtime";
import type { Access } from "./access.ts";
import type { Binaries } from "./binaries.ts";
import { InitFailedError } from "./errors.ts";
import { askDataDirectory, findPostmaster, type Postmaster } from "./postmaster.ts";
import { isSameProcess } from "@headroom/runtime";
import { type Account, runCommand } from "./run-command.ts";
import { logDirOf, readLogTail, startupLogPath } from "./server-log.ts";
import { removeStaleLocks } from "./stale-locks.ts";

/** One data folder and what it takes to start and stop its server. */
export interface ServerPlace {
  readonly dataDir: string;
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  readonly ports: Ports;
}

/** Recovery after a crash replays at most max_wal_size (512 MB). */
const startLimitMs = 120_000;
const fastStopLimitS = 30;
const immediateStopLimitS = 10;
const pollMs = 100;
/** A killed PostgreSQL's children take a moment to notice; until then a new one refuses to start. */
const startTries = 6;
const leftovers = /pre-existing shared memory block|lock file ".*" already exists/;

/**
 * The server of this data folder if it runs already, with the way into it; null if it does not. Waits while one is
 * starting or stopping. Throws InitFailedError if a living one does not answer.
 */
export async function findRunningServer(
  place: ServerPlace,
  access: Access,
): Promise<{ postmaster: Postmaster; access: Access } | null> {
  const startedMs = place.ports.clock.monotonic();
  for (;;) {
    const found = await findPostmaster(place.dataDir);
    if (found === null) return null;
    const its = accessOf(found, access);
    if ((await askDataDirectory(place.dataDir, its)) === "ours") return { postmaster: found, access: its };
    if (place.ports.clock.monotonic() - startedMs > startLimitMs) {
      const what = `process ${found.pid} is the PostgreSQL of ${place.dataDir} and does not answer: stop it (kill -INT ${found.pid})`;
      throw new InitFailedError(what, await readLogTail(place.dataDir));
    }
    await sleep(place.ports.timers, pollMs);
  }
}

/** A running server is reached as it was started, which may have been by another version of us. */
function accessOf(found: { port: number; socketDir: string }, access: Access): Access {
  if (access.kind === "loopback") return { ...access, port: found.port };
  return found.socketDir === "" ? access : { kind: "socket", dir: found.socketDir, port: found.port };
}

/**
 * Starts the server, of which none runs on the folder that is ours, and resolves when it accepts connections. Throws InitFailedError with the
 * end of the log.
 */
export async function startServer(place: ServerPlace, access: Access): Promise<Postmaster> {
  const { dataDir, binaries, account, ports } = place;
  await removeStaleLocks(dataDir, access, ports.timers);
  for (let tries = 1; ; tries += 1) {
    await rm(startupLogPath(dataDir), { force: true });
    // pg_ctl starts it in a session of its own: Ctrl-C in our terminal and our death do not reach it. It does so by a line for the shell,
    // in which it quotes nothing: so no path stands in its arguments.
    const { exitCode, output } = await runCommand(
      binaries.pgCtl,
      ["start", "-s", "-w", "-t", String(startLimitMs / 1_000), "-l", basename(startupLogPath(dataDir))],
      { account, cwd: dataDir, dataDir, limitMs: startLimitMs + 10_000 },
    );
    const postmaster = exitCode === 0 ? await findPostmaster(dataDir) : null;
    if (postmaster !== null) return postmaster;
    const tail = await readLogTail(dataDir);
    if (tries >= startTries || !leftovers.test(tail)) {
      const what = `PostgreSQL did not start on ${dataDir} (its log lies in ${logDirOf(dataDir)})`;
      throw new InitFailedError(what, `${output.trim()}\n${tail}`);
    }
    await sleep(ports.timers, pollMs * 2 ** tries);
  }
}

/** Fast shutdown: open transactions are rolled back, all that was committed is kept. Does nothing if it does not run. */
export async function stopServer(place: ServerPlace): Promise<void> {
  for (const [mode, limitS] of [
    ["fast", fastStopLimitS],
    // Ends at once and recovers at the next start; still nothing committed is lost.
    ["immediate", immediateStopLimitS],
  ] as const) {
    const running = await findPostmaster(place.dataDir);
    if (running === null) return;
    await runCommand(
      place.binaries.pgCtl,
      ["stop", "-s", "-w", "-t", String(limitS), "-m", mode, "-D", place.dataDir],
      { account: place.account, cwd: place.dataDir, limitMs: (limitS + 10) * 1_000 },
    );
    if (!(await isSameProcess(running.pid, running.startTime))) return;
  }
  const left = await findPostmaster(place.dataDir);
  if (left === null) return;
  throw new InitFailedError(
    `the PostgreSQL of ${place.dataDir} does not stop: end process ${left.pid} yourself`,
    await readLogTail(place.dataDir),
  );
}
