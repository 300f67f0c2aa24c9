/**
 * Where the server of a data folder was started: on a folder that machines or containers share, the process number in its
 * `postmaster.pid` means nothing to the others, and two servers on one folder destroy it.
 */
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";
import {
  kernelRelation,
  type OwnerPlace,
  placeInWords,
  placeRelation,
  readOwnerPlace,
  writeFileAtomic,
} from "@headroom/runtime";
import { DataDirUnusableError } from "./errors.ts";
import { type PidFile, readPidFile } from "./postmaster.ts";

/** Notes that the server is started here from now on. */
export async function tellServerPlace(dataDir: string): Promise<void> {
  const text = `${JSON.stringify(await placeHere(dataDir))}\n`;
  if ((await readFile(pathOf(dataDir), "utf8").catch(() => "")) === text) return;
  await writeFileAtomic(pathOf(dataDir), text, { mode: 0o600 });
}

/** Throws DataDirUnusableError when a server that was started elsewhere, and not stopped, may still run on the folder. */
export async function refuseServerElsewhere(dataDir: string): Promise<void> {
  const [file, place, here] = await Promise.all([readPidFile(dataDir), readPlace(dataDir), placeHere(dataDir)]);
  if (file === null || place === null || placeRelation(place, here) !== "elsewhere") return;
  const kernel = kernelRelation(place, here);
  if (kernel === "ended") return;
  const socket = socketPath(dataDir, file);
  const answers = kernel === "same" && socket !== null ? await isAnswered(socket) : null;
  if (answers === false) return;
  const server = `the PostgreSQL of ${dataDir}, process ${file.pid} ${placeInWords(place, here)},`;
  throw new DataDirUnusableError(
    answers === true
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
  const text = await readFile(pathOf(dataDir), "utf8").catch(() => "");
  try {
    return JSON.parse(text) as OwnerPlace;
  } catch {
    return null;
  }
}

/** Its socket as it is called here: another container may have the folders elsewhere. null: it lies where only the server's place sees it. */
function socketPath(dataDir: string, { socketDir, port }: PidFile): string | null {
  if (basename(socketDir) !== `${basename(dataDir)}.socket`) return null;
  return join(dirname(dataDir), basename(socketDir), `.s.PGSQL.${port}`);
}

/** Whether a process listens on the socket, ready or not: one kernel tells all containers that share the folder. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
