/** What `headroom` ends with. Scripts rely on it; the help says it too. */
export const exitCodes = {
  /** Done; a watched plan has succeeded. */
  done: 0,
  /** An error; a watched plan has failed or was cancelled. */
  error: 1,
  /** Accepted, and (part of) it waits for capacity, or would; or a watch ended before its plan did, or before its drain. */
  waiting: 2,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeHelp = `
Exit codes:
  0  done (with --watch: the plan succeeded)
  1  an error (with --watch: the plan failed or was cancelled); it is told on stderr
  2  accepted, and some of it waits for capacity (with --watch: the watch ended before the plan did);
     of agents drain: interrupted, and the drain goes on; of capacity explain: there is no room now`;
