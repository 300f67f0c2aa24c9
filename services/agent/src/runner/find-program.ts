import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";

/** What the system says of a path; a test gives its own. */
export type Stat = (path: string) => Promise<{ isDirectory(): boolean }>;

export type FoundProgram = { readonly kind: "found" } | { readonly kind: "missing"; readonly sentence: string };

/** The sentence stands in a table's cell; a PATH may have dozens. */
const maxShownFolders = 3;
const maxShownFolder = 200;

/**
 * Looks where the system will look for a program, so that "not found" can say where. On Windows the system's own
 * search (PATHEXT, the current folder) is left to decide.
 */
export async function findProgram(
  program: string,
  workingDir: string,
  path: string | undefined,
  statPath: Stat = stat,
  platform: NodeJS.Platform = process.platform,
): Promise<FoundProgram> {
  if (platform === "win32") return { kind: "found" };
  if (program === "") return missing("the command's first word, the program, is empty");
  if (program.includes("/")) {
    const file = isAbsolute(program) ? program : resolve(workingDir, program);
    const verdict = await look(file, statPath);
    if (verdict === "program") return { kind: "found" };
    return missing(`the program ${quote(file)} ${verdict}`);
  }
  const folders = (path ?? "").split(delimiter).filter((folder) => folder !== "");
  let near: string | undefined;
  for (const folder of folders) {
    const file = join(resolve(workingDir, folder), program);
    const verdict = await look(file, statPath);
    if (verdict === "program") return { kind: "found" };
    if (verdict !== "does not exist") near ??= `${quote(file)} ${verdict}`;
  }
  if (near !== undefined) return missing(`the program ${near}, and the rest of PATH has no other`);
  const where = folders.length === 0 ? "PATH is empty" : `looked in ${listFolders(folders)}`;
  return missing(
    `the program ${quote(program)} was not found on this agent: ${where}. Install it there, or name it by its full path`,
  );
}

/** "/a, /b, /c and 12 more" */
function listFolders(folders: readonly string[]): string {
  const shown = folders.slice(0, maxShownFolders).map((folder) => folder.slice(0, maxShownFolder));
  const more = folders.length - shown.length;
  return `${shown.join(", ")}${more === 0 ? "" : ` and ${more} more`}`;
}

async function look(
  file: string,
  statPath: Stat,
): Promise<"program" | "does not exist" | "is a folder" | "is not executable for the agent's user"> {
  try {
    if ((await statPath(file)).isDirectory()) return "is a folder";
  } catch {
    return "does not exist";
  }
  return access(file, constants.X_OK).then(
    () => "program" as const,
    () => "is not executable for the agent's user" as const,
  );
}

const missing = (sentence: string): FoundProgram => ({ kind: "missing", sentence });
const quote = (text: string): string => JSON.stringify(text.slice(0, 300));
