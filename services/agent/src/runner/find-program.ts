import { constants } from "node:fs";
import { access, lstat, open, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";

/** How paths are looked at; a test gives its own. Each may hang, where a drive is away. */
export interface PathLooks {
  stat(path: string): Promise<{ isDirectory(): boolean }>;
  /** The first bytes of a file, each as a character. */
  readStart(path: string): Promise<string>;
  /** Asks for a name that nobody has: no cache knows of it, so the drive has to answer. Rejects when it says that it is not there. */
  askFor(path: string): Promise<void>;
}

/** As long as the line that names an interpreter may be. */
const startBytes = 256;
/** A script's interpreter may be a script too; the system goes no further. */
const maxInterpreters = 5;

export const systemLooks: PathLooks = {
  stat,
  async readStart(path) {
    // A pipe that nobody writes to is no program, and holds up nobody.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(startBytes), 0, startBytes, 0);
      return buffer.toString("latin1", 0, bytesRead);
    } finally {
      await file.close();
    }
  },
  async askFor(path) {
    await lstat(path);
  },
};

export type FoundProgram = { readonly kind: "found" } | { readonly kind: "missing"; readonly sentence: string };

/** The sentence stands in a table's cell; a PATH may have dozens. */
const maxShownFolders = 3;
const maxShownFolder = 200;

/**
 * Looks where the system will look for a program, so that "not found" can say where. On Windows the system's own
 * search (PATHEXT, the current folder) is left to decide. What is found is opened, and so is a script's interpreter, as the system will when it starts
 * it: a network drive's folders are answered for by a cache for a minute, also when the drive is away, and this whole program would wait for it then.
 */
export async function findProgram(
  program: string,
  workingDir: string,
  path: string | undefined,
  looks: PathLooks = systemLooks,
  platform: NodeJS.Platform = process.platform,
): Promise<FoundProgram> {
  if (platform === "win32") return { kind: "found" };
  if (program === "") return missing("the command's first word, the program, is empty");
  if (program.includes("/")) {
    const file = isAbsolute(program) ? program : resolve(workingDir, program);
    const verdict = await look(file, workingDir, looks);
    if (verdict === "program") return { kind: "found" };
    return missing(`the program ${quote(file)} ${verdict}`);
  }
  const folders = (path ?? "").split(delimiter).filter((folder) => folder !== "");
  let near: string | undefined;
  for (const folder of folders) {
    const file = join(resolve(workingDir, folder), program);
    const verdict = await look(file, workingDir, looks);
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
  workingDir: string,
  looks: PathLooks,
): Promise<"program" | "does not exist" | "is a folder" | "is not executable for the agent's user"> {
  try {
    if ((await looks.stat(file)).isDirectory()) return "is a folder";
  } catch {
    return "does not exist";
  }
  try {
    await access(file, constants.X_OK);
  } catch {
    return "is not executable for the agent's user";
  }
  await openWhole(file, workingDir, looks);
  return "program";
}

/** Opens a program and the interpreters that its first line names. Whatever they answer, the start itself says it better. */
async function openWhole(program: string, workingDir: string, looks: PathLooks): Promise<void> {
  let file: string | undefined = program;
  for (let depth = 0; file !== undefined && depth <= maxInterpreters; depth += 1) {
    const start: string = await looks.readStart(file).catch(() => "");
    const interpreter = /^#![ \t]*([^\s\0]+)/.exec(start)?.[1];
    file = interpreter === undefined ? undefined : resolve(workingDir, interpreter);
  }
}

const missing = (sentence: string): FoundProgram => ({ kind: "missing", sentence });
const quote = (text: string): string => JSON.stringify(text.slice(0, 300));
