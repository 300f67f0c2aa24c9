import { readFileSync, readdirSync, statSync } from "node:fs";
import { Outage, silentLogger, systemPorts, type Logger, type Ports } from "@headroom/runtime";
import { BoundedReads } from "../bounded-reads.ts";
import { prepareReadAside, readAside } from "../read-aside.ts";
import { bytesPerMib } from "../units.ts";
import { isClosedOrGone } from "./closed-or-gone.ts";
import { MarkedProcesses } from "./marked-processes.ts";
import type { ProcessIdentity, ProcessRow, ProcessTable } from "./process-table.ts";
import { SharedLook } from "./shared-look.ts";

// Linux counts CPU time in 1/100 s (USER_HZ is 100 on every architecture that Node runs on), memory in pages.
const msPerTick = 10;
// Large pages (16 or 64 KiB on some ARM machines) would only make what is measured too small where nothing else is told.
const mibPerPage = 4_096 / bytesPerMib;
const kibPerMib = 1_024;
/** PF_KTHREAD of the kernel's `sched.h`. */
const kernelThreadFlag = 0x0020_0000;

/** Reading what takes the lock of a process's memory; it takes well below 1 ms, of a huge process's share of memory some 100 ms. */
const environmentLimitMs = 1_000;
const shareLimitMs = 2_000;
/** A thread more than one costs four files, which a machine without any lacks when it is to look who is left. */
const environmentsAtOnce = 1;
const sharesAtOnce = 2;
/** Environments that may hang, each with a thread of its own. With more of them nothing new can be told of any process. */
const environmentsMayHang = 8;
/** Shares of memory are for figures only, and keep no look at environments from being made. */
const sharesMayHang = 2;
/**
 * Longest for one look at all environments; of 20,000 processes it takes about 1.5 s. Whoever asks while one is under way waits for it first, and not
 * much longer: whom that one has found to hang, the next one does not wait for.
 */
const lookLimitMs = 5_000;

export interface LinuxTableOptions {
  readonly procDir?: string;
  readonly ports?: Pick<Ports, "clock" | "timers">;
  readonly logger?: Logger;
}

/**
 * The process table of Linux, read from /proc. A scan of 300 processes takes about 5 ms, and all who ask before it begins share it. What a process's
 * `stat` says is read at once: that never waits. Its environment and its share of memory wait for the lock of its memory, which a process that is stuck (a dead network drive,
 * a driver) may hold for ever: they are read aside, and without once that takes too long. Then who may carry what is looked for is told by its user and its start.
 */
export function linuxProcessTable(options: LinuxTableOptions = {}): ProcessTable {
  const { procDir = "/proc", ports = systemPorts, logger = silentLogger } = options;
  const { clock, timers } = ports;
  const bootId = readText(`${procDir}/sys/kernel/random/boot_id`)?.trim() ?? "unknown-boot";
  const outage = new Outage(logger, {
    fails:
      "a process is stuck, and its environment and memory cannot be read: it is known by its group and parent only",
    works: "the environment and memory of every process can be read again",
  });
  const bounded = (limitMs: number, atOnce: number, mayHang: number): BoundedReads =>
    new BoundedReads({
      timers,
      limitMs,
      atOnce,
      mayHang,
      onHanging(key) {
        const pid = Number.parseInt(key, 10);
        outage.failed(new Error(`process ${pid} did not let itself be read within ${limitMs} ms`));
        // What is started now could not be told to be gone.
        if (limitMs === environmentLimitMs && environments.isExhausted)
          logger.error(
            `${mayHang} processes are stuck, and of no other it can be told whose it is: no new work is taken until one of them can be read`,
          );
      },
    });
  const environments = bounded(environmentLimitMs, environmentsAtOnce, environmentsMayHang);
  const shares = bounded(shareLimitMs, sharesAtOnce, sharesMayHang);
  const scans = new SharedLook({ clock, timers, isBusy: true, look: () => scan(procDir, bootId) });
  const list = async (): Promise<readonly ProcessRow[]> => (await scans.ask()).rows;
  const marked = new MarkedProcesses({
    clock,
    timers,
    lookLimitMs,
    list: async () => (await scans.ask()).withEnvironment,
    readEnvironment: ({ pid, startToken }) =>
      environments.read(`${pid} ${startToken}`, () => readTextAside(`${procDir}/${pid}/environ`)),
  });
  return {
    list,
    async startToken(pid) {
      // Whoever asks for a start looks at what it has become later.
      prepareReadAside();
      return readStat(procDir, bootId, pid)?.row.startToken ?? null;
    },
    wasStartedAt: () => Promise.resolve(null),
    isBlind: () => environments.isExhausted,
    async withEnvironment(entry, since) {
      const { found, unread, isWhole } = await marked.find(entry);
      if (isWhole) outage.worked();
      const late = unread.filter((one) => beganAfter(one, since) && isOfOurUser(procDir, one));
      return { found, unread: late.length === 0 ? [] : notOfOlderSession(late, await list(), since) };
    },
    async proportionalMib(pid) {
      const answer = await shares.read(String(pid), () => readProportionalMib(procDir, pid));
      const share = answer.kind === "read" ? answer.value : null;
      if (share?.isDivided === true) return share.mib;
      const resident = readOwnResidentMib(procDir, pid);
      return share === null || resident === null ? resident : Math.min(share.mib, resident);
    },
  };
}

/** Or in the same moment: the system counts in 1/100 s. Nothing is left of what began before this boot. */
function beganAfter({ startToken }: ProcessIdentity, since: string | null): boolean {
  if (since === null) return true;
  const [boot, ticks] = startToken.split(" ");
  const [sinceBoot, sinceTicks] = since.split(" ");
  return boot === sinceBoot && Number(ticks) >= Number(sinceTicks);
}

/** A task begins a session of its own, and nobody joins one that is there already. */
function notOfOlderSession(
  those: readonly ProcessIdentity[],
  rows: readonly ProcessRow[],
  since: string | null,
): readonly ProcessIdentity[] {
  const byPid = new Map(rows.map((row) => [row.pid, row]));
  return those.filter(({ pid }) => {
    // Its number is nobody else's as long as somebody is in the session.
    const leader = byPid.get(byPid.get(pid)?.sessionId ?? 0);
    return leader === undefined || beganAfter(leader, since);
  });
}

/** What a task starts runs as its agent does, unless that is root; and root reads whom it likes. */
function isOfOurUser(procDir: string, { pid }: ProcessIdentity): boolean {
  const own = process.getuid?.();
  if (own === 0) return true;
  try {
    return statSync(`${procDir}/${pid}`).uid === own;
  } catch (error) {
    if (isClosedOrGone(error)) return false;
    throw error;
  }
}

interface Stat {
  readonly row: ProcessRow;
  readonly isKernelThread: boolean;
}

interface Scan {
  readonly rows: readonly ProcessRow[];
  /** All but the kernel's own threads. */
  readonly withEnvironment: readonly ProcessRow[];
}

function scan(procDir: string, bootId: string): Scan {
  const stats = readdirSync(procDir)
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(procDir, bootId, Number(name)))
    .filter((stat) => stat !== null);
  return {
    rows: stats.map(({ row }) => row),
    withEnvironment: stats.flatMap(({ row, isKernelThread }) => (isKernelThread ? [] : [row])),
  };
}

/** null: gone, or a zombie. */
function readStat(procDir: string, bootId: string, pid: number): Stat | null {
  const stat = readText(`${procDir}/${pid}/stat`);
  if (stat === null) return null;
  // The name in parentheses may hold anything, so count from the last one: field 3 (the state) is index 0.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const number = (index: number): number => Number(fields[index] ?? 0);
  if (state === undefined || state === "Z" || state === "X") return null;
  const row = {
    pid,
    parentPid: number(1),
    groupId: number(2),
    sessionId: number(3),
    // utime, stime, cutime, cstime: with the children's, time does not vanish when a child is reaped.
    cpuMs: (number(11) + number(12) + number(13) + number(14)) * msPerTick,
    startToken: `${bootId} ${fields[19] ?? ""}`,
    residentMib: number(21) * mibPerPage,
  };
  return { row, isKernelThread: (number(6) & kernelThreadFlag) !== 0 };
}

/** Of the memory of a process, where pages that several share count in part. */
interface Share {
  readonly mib: number;
  /** False: pages of mapped files are in it. */
  readonly isDivided: boolean;
}

/**
 * Without the pages of mapped files, which the system counts as available (MemAvailable) like the rest of its file cache: counted here too they
 * would hide as much of what other programs take. Pages that are locked are counted by it as taken, those of files too. What was swapped out takes
 * no memory. A kernel before 5.3 tells no more than the share with the pages of files in it: at most so much. null: it cannot be told here.
 */
async function readProportionalMib(procDir: string, pid: number): Promise<Share | null> {
  try {
    const text = await readAside(`${procDir}/${pid}/smaps_rollup`);
    const anonymous = readKib(text, "Pss_Anon");
    const shared = readKib(text, "Pss_Shmem");
    if (anonymous !== null && shared !== null)
      return { mib: Math.max(anonymous + shared, readKib(text, "Locked") ?? 0) / kibPerMib, isDivided: true };
    const all = readKib(text, "Pss");
    return all === null ? null : { mib: all / kibPerMib, isDivided: false };
  } catch {
    return null;
  }
}

/** The same with shared pages counted whole: everybody may read it, and it waits for no lock. */
function readOwnResidentMib(procDir: string, pid: number): number | null {
  let text: string;
  try {
    text = readFileSync(`${procDir}/${pid}/status`, "latin1");
  } catch {
    return null;
  }
  const anonymous = readKib(text, "RssAnon");
  const shared = readKib(text, "RssShmem");
  return anonymous === null || shared === null ? null : (anonymous + shared) / kibPerMib;
}

/** A line such as "RssAnon:     112 kB". */
function readKib(text: string, name: string): number | null {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  return kib === undefined ? null : Number(kib);
}

/** null: it is not there, or not to be read by this user. Whatever else keeps it from being read says nothing of it, and is thrown. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isClosedOrGone(error)) return null;
    throw error;
  }
}

/** The same, on another thread. */
async function readTextAside(path: string): Promise<string | null> {
  try {
    return await readAside(path);
  } catch (error) {
    if (isClosedOrGone(error)) return null;
    throw error;
  }
}
