import { execFile } from "node:child_process";
import { sleep, type Logger, type Timers } from "@headroom/runtime";
import { treeOf, type ProcessTable } from "../processes/process-table.ts";
import { attemptMarker } from "./task-environment.ts";

/** The processes of one attempt: its group, what descends from it, and what carries its mark in the environment. */
export class ProcessGroup {
  readonly #groupId: number;
  readonly #attemptId: string;
  readonly #processes: ProcessTable;
  readonly #platform: NodeJS.Platform;

  constructor(groupId: number, attemptId: string, processes: ProcessTable, platform = process.platform) {
    this.#groupId = groupId;
    this.#attemptId = attemptId;
    this.#processes = processes;
    this.#platform = platform;
  }

  /**
   * Pids that are alive (zombies are not). The group alone, unless `escaped` is asked for: to find those that have left it
   * costs a look at every process's environment.
   */
  async members(escaped: boolean): Promise<readonly number[]> {
    const rows = await this.#processes.list();
    if (rows === null) return (await this.#processes.startToken(this.#groupId)) === null ? [] : [this.#groupId];
    const marked = escaped ? await this.#processes.withEnvironment(attemptMarker(this.#attemptId)) : [];
    const own = new Set(marked.filter((pid) => pid !== process.pid));
    return treeOf(rows, this.#groupId, own).map((row) => row.pid);
  }

  /** Sends a signal to the group and to the pids that have left it. Whoever is gone is not missed. */
  signal(signal: NodeJS.Signals, pids: readonly number[] = []): void {
    if (this.#platform === "win32") {
      // Windows has no groups: the tool ends the tree. STOP and CONT do not exist there.
      if (signal !== "SIGTERM" && signal !== "SIGKILL") return;
      const force = signal === "SIGKILL" ? ["/F"] : [];
      execFile("taskkill", ["/PID", String(this.#groupId), "/T", ...force], { timeout: 10_000 }, () => undefined);
      return;
    }
    send(-this.#groupId, signal);
    for (const pid of pids) if (pid !== this.#groupId) send(pid, signal);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: gone. EPERM: it changed its user; nothing that we could do.
  }
}

export interface EndGroupOptions {
  readonly timers: Timers;
  readonly logger: Logger;
  /** Read at each look, so that a shorter grace takes effect. */
  graceMs(): number;
}

const firstLookMs = 20;
const longestLookMs = 500;
/** After this long with KILL sent, processes sit in the kernel (a dead network drive); said once. */
const stuckAfterMs = 30_000;

/**
 * Ends whatever is left of the group: TERM, after the grace KILL, and resolves when all are gone; that may take long if the kernel
 * holds one, and then its memory is in use all that time. Answers how many there were at the beginning.
 */
export async function endGroup(group: ProcessGroup, options: EndGroupOptions): Promise<number> {
  let alive = await group.members(true);
  const found = alive.length;
  if (found === 0) return 0;
  group.signal("SIGTERM", alive);
  // A frozen process takes a TERM only when it goes on.
  group.signal("SIGCONT", alive);
  let waitedMs = 0;
  let killedAtMs: number | undefined;
  let saidStuck = false;
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(longestLookMs, pauseMs * 2)) {
    const leftMs = killedAtMs === undefined ? options.graceMs() - waitedMs : longestLookMs;
    const stepMs = Math.max(1, Math.min(pauseMs, leftMs));
    await sleep(options.timers, stepMs);
    waitedMs += stepMs;
    alive = await group.members(true);
    if (alive.length === 0) return found;
    if (waitedMs >= options.graceMs()) {
      group.signal("SIGKILL", alive);
      killedAtMs ??= waitedMs;
    }
    if (!saidStuck && killedAtMs !== undefined && waitedMs - killedAtMs > stuckAfterMs) {
      saidStuck = true;
      options.logger.error(
        { pids: alive.slice(0, 20) },
        "processes do not end although they were killed; their room stays taken",
      );
    }
  }
}
