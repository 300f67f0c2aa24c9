import { isAbsolute, relative } from "node:path";
import { getSystemErrorMap } from "node:util";
import { isDiskFull } from "@headroom/runtime";

/** What the file system answers when the place is to blame, and not the program that asked. */
const refusals: ReadonlySet<unknown> = new Set([
  "EACCES",
  "EDQUOT",
  "EIO",
  "ELOOP",
  "ENAMETOOLONG",
  "ENOSPC",
  "ENOTDIR",
  "ENOTSUP",
  "EPERM",
  "EROFS",
]);
/** Where a folder is to be made: a file stands there, or the file system makes none (/proc). */
const refusalsToMake: ReadonlySet<unknown> = new Set(["EEXIST", "ENOENT"]);

/**
 * One line for a person whose data folder the file system does not let us use; null: the error is something else. An error is of the data
 * folder when its path lies there, or above it, where folders that are missing are made.
 */
export function dataFolderLine(error: unknown, dataDir: string): string | null {
  if (!(error instanceof Error)) return null;
  const { code, path, syscall } = fieldsOf(error);
  const isRefusal =
    refusals.has(code) ||
    (syscall === "mkdir" && refusalsToMake.has(code)) ||
    // A link that leads nowhere: the disk behind it is not mounted.
    (code === "ENOENT" && syscall === "stat" && path === dataDir);
  // A write that fails for want of room does not say where.
  const place = typeof path === "string" ? path : isDiskFull(error) ? dataDir : null;
  if (!isRefusal || place === null || !(isWithin(dataDir, place) || isWithin(place, dataDir))) return null;
  const where = place === dataDir ? "" : ` (${place})`;
  const wayOut = isDiskFull(error) ? "make room there, or choose another one" : "choose another one";
  return `the data folder ${dataDir} cannot be used: ${reasonOf(error)}${where}; ${wayOut} with HEADROOM_DATA_DIR or --data-dir`;
}

function reasonOf(error: Error): string {
  const { code, errno } = fieldsOf(error);
  if (code === "EEXIST") return "not a directory";
  const known = typeof errno === "number" ? getSystemErrorMap().get(errno) : undefined;
  return known?.[1] ?? error.message;
}

function fieldsOf(error: Error): Readonly<Record<"code" | "errno" | "path" | "syscall", unknown>> {
  const field = (name: string): unknown => Reflect.get(error, name);
  return { code: field("code"), errno: field("errno"), path: field("path"), syscall: field("syscall") };
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith("../") && !way.startsWith("..\\") && !isAbsolute(way);
}
