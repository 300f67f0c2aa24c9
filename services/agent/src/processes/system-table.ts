import { linuxProcessTable } from "./linux-table.ts";
import { psProcessTable } from "./posix-table.ts";
import type { ProcessTable } from "./process-table.ts";
import { windowsProcessTable } from "./windows-table.ts";

/** The process table of this machine. */
export function systemProcessTable(platform: NodeJS.Platform = process.platform): ProcessTable {
  if (platform === "linux") return linuxProcessTable();
  return platform === "win32" ? windowsProcessTable : psProcessTable;
}
