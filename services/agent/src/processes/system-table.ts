import { silentLogger, type Logger } from "@headroom/runtime";
import { linuxProcessTable } from "./linux-table.ts";
import { psProcessTable } from "./posix-table.ts";
import type { ProcessTable } from "./process-table.ts";
import { windowsProcessTable } from "./windows-table.ts";

export interface SystemTableOptions {
  readonly platform?: NodeJS.Platform;
  /** Told of processes that cannot be looked at. */
  readonly logger?: Logger;
}

/** The process table of this machine. */
export function systemProcessTable(options: SystemTableOptions = {}): ProcessTable {
  const { platform = process.platform, logger = silentLogger } = options;
  if (platform === "linux") return linuxProcessTable({ logger });
  return platform === "win32" ? windowsProcessTable() : psProcessTable;
}
