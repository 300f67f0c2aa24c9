/** Which process it is: pids are used again, a pid with its start is not. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startToken: string;
}

/** One process of this machine at one moment. */
export interface ProcessRow extends ProcessIdentity {
  readonly parentPid: number;
  readonly groupId: number;
  /** 0 where the system does not tell. */
  readonly sessionId: number;
  /** CPU time of the process and of the children it has reaped, in ms. */
  readonly cpuMs: number;
  readonly residentMib: number;
}

/** The start of a process that exists and does not tell more: it proves nothing of who that is. */
export const unknownStart = "unknown";

/**
 * The processes of this machine, as a port. Those that have ended and only wait to be reaped are not in it. Each look rejects where the
 * machine lacks what it takes (files, processes): that says nothing of the processes.
 */
export interface ProcessTable {
  /** Every process that can be seen; null where the system does not tell (Windows). */
  list(): Promise<readonly ProcessRow[] | null>;
  /** Identity of one process; null when there is no such process. Where the system does not tell: `unknownStart` while the pid exists. */
  startToken(pid: number): Promise<string | null>;
  /**
   * Whether the process with this pid is the one that was started at this moment of the wall clock, where its start says nothing; null: that
   * cannot be told.
   */
  wasStartedAt(pid: number, atMs: number): Promise<boolean | null>;
  /**
   * The processes that carry this text (`NAME=value`) as an entry of their environment; none where the system does not tell. `since` is the
   * start token of what began before all that may carry it; null: that is not known.
   */
  withEnvironment(entry: string, since: string | null): Promise<MarkedLook>;
  /** So many processes are stuck that of no new one it can be told what it carries. Default: never. */
  isBlind?(): boolean;
  /**
   * Memory of one process in MiB as far as the system counts it as taken, so without its pages of mapped files; shared pages are counted by their
   * share where that can be told. null: it cannot be told.
   */
  proportionalMib(pid: number): Promise<number | null>;
}

export interface MarkedLook {
  readonly found: readonly ProcessIdentity[];
  /** Could not be read, and may carry it: they are this user's, began late enough, and are in no session that is older. */
  readonly unread: readonly ProcessIdentity[];
}

export const nothingMarked: MarkedLook = { found: [], unread: [] };

/** The group `groupId` (null: none) and all that descends from it or from `roots`, in one walk over the table. */
export function treeOf(
  rows: readonly ProcessRow[],
  groupId: number | null,
  roots: ReadonlySet<number> = new Set(),
): readonly ProcessRow[] {
  const children = new Map<number, ProcessRow[]>();
  for (const row of rows) {
    const siblings = children.get(row.parentPid);
    if (siblings === undefined) children.set(row.parentPid, [row]);
    else siblings.push(row);
  }
  const members = new Map<number, ProcessRow>();
  const pending = rows.filter((row) => row.groupId === groupId || row.sessionId === groupId || roots.has(row.pid));
  for (let row = pending.pop(); row !== undefined; row = pending.pop()) {
    if (members.has(row.pid)) continue;
    members.set(row.pid, row);
    pending.push(...(children.get(row.pid) ?? []));
  }
  return [...members.values()];
}
