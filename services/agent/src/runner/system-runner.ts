import { spawn, type ChildProcess } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger, Ports } from "@headroom/runtime";
import { lacksMeans } from "../processes/lacks-means.ts";
import { unknownStart, type ProcessIdentity, type ProcessTable } from "../processes/process-table.ts";
import { linuxChildCpu, type ChildCpu } from "./child-cpu.ts";
import { findProgram, systemLooks, type PathLooks } from "./find-program.ts";
import { FolderRemover } from "./folder-remover.ts";
import { LookLine, lookLimitMs } from "./look-line.ts";
import { endGroup, ProcessGroup, stillUnread, untilSeenTwice } from "./process-group.ts";
import type { Leftover, OutputSink, ProcessRunner, RunSpec, RunStart } from "./runner.ts";
import { followRun } from "./follow-run.ts";
import { attemptMarker, taskEnvironment } from "./task-environment.ts";
import { UnreadWait } from "./unread-wait.ts";
import { whyNotStarted } from "./why-not-started.ts";
import { openWorkFolder, type WorkFolder } from "./work-folder.ts";

export interface SystemRunnerOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly processes: ProcessTable;
  /** Fresh working folders are made below it. */
  readonly freshDir: string;
  /** The agent's own environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: the system's. */
  readonly looks?: PathLooks;
}

/** What the starts of one runner share. */
interface Shared {
  readonly childCpu: ChildCpu;
  readonly remover: FolderRemover;
  /** Where tasks name a folder, or their program by its path: a drive that is away is most likely there. */
  readonly named: LookLine;
  /** Where all is the agent's own: the fresh folder, PATH. A line for itself, so that such tasks start while the other hangs. */
  readonly own: LookLine;
  /** Groups of what runs, and of what an earlier program left: who is in one is of no other attempt. */
  readonly groups: Set<number>;
  readonly unreadWait: (attemptId: string) => UnreadWait;
}

const always = (): boolean => true;

/** Runs commands as real processes, each in a process group of its own, without a shell, with stdin closed. */
export function systemRunner(options: SystemRunnerOptions): ProcessRunner {
  const { ports, logger } = options;
  const { clock } = ports;
  const stopping = new AbortController();
  const shared: Shared = {
    childCpu: linuxChildCpu(),
    remover: new FolderRemover(ports.timers, logger),
    named: new LookLine(ports.timers),
    own: new LookLine(ports.timers),
    groups: new Set(),
    unreadWait: (attemptId) => new UnreadWait({ clock, logger, attemptId, stopping: stopping.signal }),
  };
  return {
    async start(spec, sink, mayStart = always, signal) {
      const place = await lookForPlace(spec, options, shared, signal);
      return place.kind === "ready" ? startProcess(spec, sink, mayStart, place, options, shared) : place;
    },
    async endLeftover(leftover, graceMs) {
      const count = await endLeftover(leftover, graceMs, options, shared);
      // In the background: it holds back no result.
      if (count !== null) void shared.remover.remove(join(options.freshDir, leftover.attemptId));
      return count;
    },
    removeLeft: (but) => void removeLeft(options.freshDir, but, shared.remover),
    isBlind: () => options.processes.isBlind?.() === true,
    stopping: () => stopping.abort(),
  };
}

/** One that cannot be removed is in nobody's way: it is named after an attempt that does not come again. */
async function removeLeft(freshDir: string, but: ReadonlySet<string>, remover: FolderRemover): Promise<void> {
  const names = await readdir(freshDir).catch(() => []);
  await remover.removeLeft(names.filter((name) => !but.has(name)).map((name) => join(freshDir, name)));
}

/** A folder to run in, and a program that is there. */
interface Place {
  readonly kind: "ready";
  readonly folder: Extract<WorkFolder, { readonly kind: "ready" }>;
  readonly env: Record<string, string>;
}

type NotStarted = Exclude<RunStart, { readonly kind: "started" }>;

/** Never takes longer than `lookLimitMs`. */
async function lookForPlace(
  spec: RunSpec,
  options: SystemRunnerOptions,
  shared: Shared,
  signal: AbortSignal | undefined,
): Promise<Place | NotStarted> {
  const [program = ""] = spec.argv;
  const line = spec.workingDir !== "" || program.includes("/") ? shared.named : shared.own;
  const looked = await line.look(
    () => findPlace(spec, options, shared.remover),
    async (late) => (late.kind === "ready" ? late.folder.remove() : undefined),
    signal,
  );
  switch (looked.kind) {
    case "seen":
      return looked.seen;
    case "unwanted":
      return { kind: "withheld" };
    case "late":
    case "blocked": {
      const folder = spec.workingDir === "" ? options.freshDir : spec.workingDir;
      const why =
        looked.kind === "late"
          ? `did not answer within ${lookLimitMs / 1_000} s`
          : "were not looked at, because an earlier look at such paths hangs";
      const sentence = `the working folder ${JSON.stringify(folder)} and the program ${JSON.stringify(program)} ${why}: one may be on a network drive that is away`;
      options.logger.warn({ attempt_id: spec.attemptId, folder, program }, sentence);
      return { kind: "failed", sentence, isMachine: true };
    }
  }
}

async function findPlace(
  spec: RunSpec,
  options: SystemRunnerOptions,
  remover: FolderRemover,
): Promise<Place | NotStarted> {
  const { freshDir, looks = systemLooks } = options;
  const folder = await openWorkFolder(spec.workingDir, spec.attemptId, { freshDir, remover, looks });
  if (folder.kind === "failed") return folder;
  const env = taskEnvironment(options.env, spec, folder.path);
  const found = await findProgram(spec.argv[0] ?? "", folder.path, env["PATH"], looks);
  if (found.kind === "found") return { kind: "ready", folder, env };
  await folder.remove();
  return { kind: "failed", sentence: found.sentence, isMachine: false };
}

async function startProcess(
  spec: RunSpec,
  sink: OutputSink,
  mayStart: () => boolean | Promise<boolean>,
  { folder, env }: Place,
  options: SystemRunnerOptions,
  { childCpu, groups, unreadWait }: Shared,
): Promise<RunStart> {
  const { logger, ports, processes } = options;
  const [program = "", ...args] = spec.argv;
  if (!(await mayStart())) {
    await folder.remove();
    return { kind: "withheld" };
  }
  const spawned = await spawnChild(program, args, folder.path, env);
  if (spawned.kind === "failed") {
    await folder.remove();
    const sentence = `the program ${JSON.stringify(program)} could not be started: ${spawned.why}`;
    return { kind: "failed", sentence, isMachine: spawned.isMachine };
  }
  const startedAtMs = ports.clock.now();
  const { child, pid } = spawned;
  groups.add(pid);
  const startToken = processes.startToken(pid).catch(() => null);
  const group = new ProcessGroup({
    groupId: pid,
    attemptId: spec.attemptId,
    processes,
    startToken,
    // One that has ended at once has no start any more; this program has, and it began before.
    since: startToken.then((token) => token ?? processes.startToken(process.pid)).catch(() => null),
    groups,
    unreadWait: unreadWait(spec.attemptId),
  });
  // Output and exit are listened to before anything is awaited, so that a command that ends at once loses nothing.
  const run = followRun({
    child,
    pid,
    startedAtMs,
    group,
    sink,
    ports,
    logger,
    childCpu,
    afterwards: () => folder.remove(),
  });
  void run.ended.finally(() => groups.delete(pid));
  // Without it a restart still finds the processes by their mark.
  return { kind: "started", run: { ...run, startToken: await startToken } };
}

type Spawned =
  | { readonly kind: "spawned"; readonly child: ChildProcess; readonly pid: number }
  | { readonly kind: "failed"; readonly why: string; readonly isMachine: boolean };

function spawnChild(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<Spawned> {
  return new Promise((resolve) => {
    const fail = (error: unknown): void =>
      resolve({ kind: "failed", why: whyNotStarted(error, program), isMachine: lacksMeans(error) });
    try {
      const child = spawn(program, args, {
        cwd,
        env,
        shell: false,
        stdio: ["ignore", "pipe", "pipe"],
        // A group of its own: a signal then reaches everything that the command starts.
        detached: process.platform !== "win32",
        windowsHide: true,
      });
      // The pid is there at once unless the start failed; then the error follows.
      if (child.pid === undefined) child.once("error", fail);
      else {
        // Later errors are about signals that could not be sent; the exit tells all that matters.
        child.on("error", () => undefined);
        resolve({ kind: "spawned", child, pid: child.pid });
      }
    } catch (error) {
      fail(error);
    }
  });
}

async function endLeftover(
  leftover: Leftover,
  graceMs: number,
  options: SystemRunnerOptions,
  { groups, unreadWait: waitFor }: Shared,
): Promise<number | null> {
  const { processes, logger, ports } = options;
  const { clock, timers } = ports;
  const { attemptId } = leftover;
  const unreadWait = waitFor(attemptId);
  const found = await untilSeenTwice(
    () => findGroup(leftover, processes, groups, unreadWait),
    ({ kind }) => kind === "gone",
    { timers, logger },
  );
  if (found.kind === "gone") return 0;
  if (found.kind === "unknown") return null;
  const { groupId, startToken } = found;
  const since = leftover.startToken;
  const group = new ProcessGroup({ groupId, attemptId, processes, startToken, since, groups, unreadWait });
  groups.add(groupId);
  // Its first process is not ours to reap: what cannot be seen may be somebody else's by now.
  const count = await endGroup(group, { clock, timers, logger, graceMs: () => graceMs, isOurs: () => false }).finally(
    () => groups.delete(groupId),
  );
  logger.info(
    { attempt_id: attemptId, pid: groupId, processes: count },
    "ended what an earlier agent program had left running",
  );
  return count;
}

type FoundGroup =
  /** `startToken`: of the process with the group's number; null: it is gone, or was not looked at. */
  | { readonly kind: "found"; readonly groupId: number; readonly startToken: string | null }
  | { readonly kind: "gone" }
  | { readonly kind: "unknown" };

async function findGroup(
  { pid, startToken, startedAtMs, attemptId }: Leftover,
  processes: ProcessTable,
  groups: ReadonlySet<number>,
  unreadWait: UnreadWait,
): Promise<FoundGroup> {
  const startNow = pid === null || startToken === null ? null : await processes.startToken(pid);
  let isUnknown = false;
  if (pid !== null && startNow !== null) {
    const isSame =
      startNow === unknownStart || startToken === unknownStart
        ? await wasStartedAt(processes, pid, startedAtMs)
        : startNow === startToken;
    if (isSame === true) return { kind: "found", groupId: pid, startToken: startNow };
    isUnknown = isSame === null;
  }
  // The first process may be gone and others of its group alive. Their group's number is taken as long as one of them lives, so a
  // process of that group with our mark proves the group.
  const marked = await processes.withEnvironment(attemptMarker(attemptId), startToken);
  const rows = (await processes.list()) ?? [];
  const tokens = new Map(rows.map((row) => [row.pid, row.startToken]));
  const isThere = (one: ProcessIdentity): boolean => tokens.get(one.pid) === one.startToken;
  const own = marked.found.find(isThere);
  const groupId = rows.find((row) => row.pid === own?.pid)?.groupId;
  if (groupId !== undefined) return { kind: "found", groupId, startToken: tokens.get(groupId) ?? null };
  unreadWait.check(stillUnread(marked.unread, rows, groups));
  return { kind: isUnknown ? "unknown" : "gone" };
}

async function wasStartedAt(processes: ProcessTable, pid: number, atMs: number | null): Promise<boolean | null> {
  return atMs === null ? null : processes.wasStartedAt(pid, atMs);
}
