/**
 * Where the server of a data folder was started: on a folder that machines or containers share, the process number in its
 * `postmaster.pid` means nothing to the others, and two servers on one folder destroy it.
 */
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";
import {
  errorCode,
  hasEnded,
  isOnOneKernel,
  type OwnerPlace,
  placeInWords,
  placeRelation,
  readOwnerPlace,
  writeFileAtomic,
} from "@headroom/runtime";
import { socketFits } from "./access.ts";
import { DataDirUnusableError } from "./errors.ts";
import { isSurelyHere, type PidFile, readPidFile } from "./postmaster.ts";

/** Notes that the server is started here from now on, or was found here. */
export async function tellServerPlace(dataDir: string): Promise<void> {
  const text = `${JSON.stringify(await placeHere(dataDir))}\n`;
  if ((await readFile(pathOf(dataDir), "utf8").catch(() => "")) === text) return;
  await writeFileAtomic(pathOf(dataDir), text, { mode: 0o600 });
}

/**
 * Throws DataDirUnusableError when a server that was started elsewhere, and not stopped, may still run on the folder. Where there are no
 * containers that share a folder's sockets and memory with their machine (all but Linux) PostgreSQL itself finds a living one.
 */
export async function refuseServerElsewhere(dataDir: string): Promise<void> {
  if (process.platform !== "linux") return;
  const [file, place, here] = await Promise.all([readPidFile(dataDir), readPlace(dataDir), placeHere(dataDir)]);
  if (file === null || place === null || placeRelation(place, here) !== "elsewhere") return;
  // Its place may be told otherwise than it was: a process that works in this very folder is its server.
  if (await isSurelyHere(file.pid, dataDir)) return;
  const answer = isOnOneKernel(place, here) ? await askSocket(dataDir, file) : "unknown";
  if (answer === "nobody" || (answer === "unknown" && hasEnded(place, here))) return;
  const server = `the PostgreSQL of ${dataDir}, process ${file.pid} ${placeInWords(place, here)},`;
  throw new DataDirUnusableError(
    answer === "somebody"
      ? `${server} still runs: stop it there, or choose another folder with HEADROOM_DATA_DIR or --data-dir`
      : `${server} was not stopped and may still run, which cannot be seen from here: make sure that it does not, ` +
          `delete ${join(dataDir, "postmaster.pid")} and start again; or choose another folder with HEADROOM_DATA_DIR or --data-dir`,
  );
}

function pathOf(dataDir: string): string {
  return `${dataDir}.place`;
}

/** The folder that the data folder lies in is there before the data folder itself. */
function placeHere(dataDir: string): Promise<OwnerPlace> {
  return readOwnerPlace(dirname(dataDir));
}

/** null: not told, by an earlier version or at the first start. */
async function readPlace(dataDir: string): Promise<OwnerPlace | null> {
  const text = await readFile(pathOf(dataDir), "utf8").catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  });
  try {
    return JSON.parse(text) as OwnerPlace;
  } catch {
    return null;
  }
}

/** Whether a process listens on the server's socket, ready or not. Good only on the kernel that the server would run on. */
async function askSocket(dataDir: string, { socketDir, port }: PidFile): Promise<"somebody" | "nobody" | "unknown"> {
  // As it is called here: another container may have the folders elsewhere. One that lies elsewhere is seen from the server's place alone.
  const dir = join(dirname(dataDir), basename(socketDir));
  if (basename(socketDir) !== `${basename(dataDir)}.socket` || !socketFits(dir)) return "unknown";
  return new Promise((resolve) => {
    const socket = connect(join(dir, `.s.PGSQL.${port}`));
    socket.once("connect", () => {
      socket.destroy();
      resolve("somebody");
    });
    socket.once("error", (error) => {
      // A server that was killed leaves its socket; one that is not there may be another one's, behind another mount.
      resolve(Reflect.get(error, "code") === "ECONNREFUSED" ? "nobody" : "unknown");
    });
  });
}
