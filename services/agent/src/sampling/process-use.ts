import type { Clock } from "@headroom/runtime";
import type { TotalUse } from "../attempt.ts";
import { treeOf, type ProcessRow, type ProcessTable } from "../processes/process-table.ts";
import type { ListedAttempt } from "./sampler.ts";

/** What the processes of one attempt use now. */
export interface ProcessUse {
  readonly cpuMillicores: number;
  readonly memoryMib: number;
  readonly pids: ReadonlySet<number>;
}

interface Tracked {
  /** Identities of the processes seen last, so that one that leaves the group is still known. */
  members: ReadonlyMap<number, string>;
  readonly sinceMs: number;
  /** The CPU reading that the rate is taken from. */
  baseMs: number;
  baseCpuMs: number;
  rate: number;
  lastMs: number;
  cpuMs: number;
  memoryPeakMib: number;
  vramPeakMib: number;
}

/** Over less than this a CPU rate is noise: the system counts in steps of 10 ms. */
const minRateMs = 500;

/** Follows what the processes of each attempt use. */
export class ProcessUseTracker {
  readonly #processes: ProcessTable;
  readonly #clock: Clock;
  readonly #cores: number;
  readonly #tracked = new Map<string, Tracked>();
  #endedCpuMs = 0;
  #scansUnderWay = 0;
  /** Attempts that were taken while a scan was under way: its rows are older than their end. */
  readonly #takenMeanwhile = new Set<string>();

  constructor(processes: ProcessTable, clock: Clock, cores: number) {
    this.#processes = processes;
    this.#clock = clock;
    this.#cores = cores;
  }

  /** Use by attempt, of those that have started and do not end meanwhile; null where the system does not tell. One scan of the process table for all. */
  async scan(attempts: readonly ListedAttempt[]): Promise<ReadonlyMap<string, ProcessUse> | null> {
    const started = attempts.filter((attempt) => attempt.pid !== null);
    const listed = new Set(started.map((attempt) => attempt.attemptId));
    for (const attemptId of this.#tracked.keys()) if (!listed.has(attemptId)) this.#tracked.delete(attemptId);
    if (started.length === 0) return new Map();
    this.#scansUnderWay += 1;
    try {
      return await this.#measureAll(started);
    } finally {
      this.#scansUnderWay -= 1;
      if (this.#scansUnderWay === 0) this.#takenMeanwhile.clear();
    }
  }

  async #measureAll(started: readonly ListedAttempt[]): Promise<ReadonlyMap<string, ProcessUse> | null> {
    const rows = await this.#processes.list();
    if (rows === null) return null;
    const uses = new Map<string, ProcessUse>();
    for (const { attemptId, pid } of started) {
      // Its use is in what has ended: followed anew by these rows it would be counted twice.
      if (pid === null || this.#takenMeanwhile.has(attemptId)) continue;
      uses.set(attemptId, await this.#measure(attemptId, pid, rows));
    }
    return uses;
  }

  noteVram(attemptId: string, vramMib: number): void {
    const tracked = this.#tracked.get(attemptId);
    if (tracked !== undefined) tracked.vramPeakMib = Math.max(tracked.vramPeakMib, vramMib);
  }

  /** What the attempt used in all; forgets it. `exitCpuMs` may hold other children's time, so it adds no more than it can have taken. */
  take(attemptId: string, exitCpuMs: number | null): TotalUse {
    const tracked = this.#tracked.get(attemptId);
    this.#tracked.delete(attemptId);
    if (this.#scansUnderWay > 0) this.#takenMeanwhile.add(attemptId);
    const total = this.#total(tracked, exitCpuMs);
    this.#endedCpuMs += total.cpuMs;
    return total;
  }

  /** CPU time of all attempts ever, as of the last scan; of those that have ended, all of it. Never goes back. */
  ownCpuMs(): number {
    let sum = this.#endedCpuMs;
    for (const tracked of this.#tracked.values()) sum += tracked.cpuMs;
    return sum;
  }

  #total(tracked: Tracked | undefined, exitCpuMs: number | null): TotalUse {
    if (tracked === undefined) return { cpuMs: exitCpuMs ?? 0, memoryPeakMib: 0, vramPeakMib: 0 };
    const unseenMs = this.#clock.monotonic() - tracked.lastMs;
    const atMostMs = tracked.cpuMs + unseenMs * this.#cores;
    return {
      cpuMs: Math.round(Math.max(tracked.cpuMs, Math.min(exitCpuMs ?? 0, atMostMs))),
      memoryPeakMib: Math.ceil(tracked.memoryPeakMib),
      vramPeakMib: Math.ceil(tracked.vramPeakMib),
    };
  }

  async #measure(attemptId: string, pid: number, rows: readonly ProcessRow[]): Promise<ProcessUse> {
    const nowMs = this.#clock.monotonic();
    const tracked = this.#track(attemptId, nowMs);
    const known = new Set(rows.filter((row) => tracked.members.get(row.pid) === row.startToken).map((row) => row.pid));
    const members = treeOf(rows, pid, known);
    tracked.members = new Map(members.map((row) => [row.pid, row.startToken]));
    // A process that nobody of the tree reaped takes its time with it: the sum never goes back all the same.
    tracked.cpuMs = Math.max(
      tracked.cpuMs,
      members.reduce((sum, row) => sum + row.cpuMs, 0),
    );
    tracked.lastMs = nowMs;
    if (nowMs - tracked.baseMs >= minRateMs) {
      tracked.rate = ((tracked.cpuMs - tracked.baseCpuMs) / (nowMs - tracked.baseMs)) * 1_000;
      tracked.baseMs = nowMs;
      tracked.baseCpuMs = tracked.cpuMs;
    }
    const memoryMib = await this.#memoryMib(members);
    tracked.memoryPeakMib = Math.max(tracked.memoryPeakMib, memoryMib);
    return {
      cpuMillicores: Math.max(0, Math.round(tracked.rate)),
      memoryMib: Math.ceil(memoryMib),
      pids: new Set(members.map((row) => row.pid)),
    };
  }

  #track(attemptId: string, nowMs: number): Tracked {
    const known = this.#tracked.get(attemptId);
    if (known !== undefined) return known;
    const tracked: Tracked = {
      members: new Map(),
      sinceMs: nowMs,
      baseMs: nowMs,
      baseCpuMs: 0,
      rate: 0,
      lastMs: nowMs,
      cpuMs: 0,
      memoryPeakMib: 0,
      vramPeakMib: 0,
    };
    this.#tracked.set(attemptId, tracked);
    return tracked;
  }

  async #memoryMib(members: readonly ProcessRow[]): Promise<number> {
    let sum = 0;
    for (const row of members) sum += (await this.#processes.proportionalMib(row.pid)) ?? row.residentMib;
    return sum;
  }
}
