import { createHash, randomBytes } from "node:crypto";
import { chmod, chown, lstat, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataDirUnusableError } from "./errors.ts";
import type { Account } from "./run-command.ts";

/** How clients get in: by a socket in a folder that only we may enter, or (Windows) by loopback TCP with a password. */
export type Access =
  | { readonly kind: "socket"; readonly dir: string; readonly port: number }
  | { readonly kind: "loopback"; readonly port: number; readonly password: string };

export const superuser = "headroom";

/** Part of the socket's name, and nothing else: no TCP port is opened. */
const socketPort = 5432;
/** sun_path holds 108 bytes on Linux and 104 on macOS, with the final zero. */
const maxSocketPathBytes = process.platform === "linux" ? 107 : 103;

/** Prepares the way in. `socketDir`: a folder of the caller's choice; default beside the data folder, or a short one. */
export async function prepareAccess(
  dataDir: string,
  socketDir: string | undefined,
  account: Account | undefined,
): Promise<Access> {
  if (process.platform === "win32") {
    return { kind: "loopback", port: await freePort(), password: await storedPassword(dataDir) };
  }
  const dir = chooseSocketDir(dataDir, socketDir);
  await preparePrivateDir(dir, account);
  return { kind: "socket", dir, port: socketPort };
}

/**
 * Clients take what a URL leaves out from the environment. A PGSSLMODE or PGOPTIONS there is meant for another server: this one speaks no
 * TLS, and every session has its time zone already.
 */
const overEnvironment = "sslmode=disable&options=-ctimezone%3DUTC";

/** The URL of one database behind this access; pg and libpq both read it. */
export function connectionUrl(access: Access, database: string): string {
  const name = encodeURIComponent(database);
  if (access.kind === "socket") {
    const way = `host=${encodeURIComponent(access.dir)}&port=${access.port}`;
    return `postgresql://${superuser}@localhost/${name}?${way}&${overEnvironment}`;
  }
  return `postgresql://${superuser}:${access.password}@127.0.0.1:${access.port}/${name}?${overEnvironment}`;
}

export function chooseSocketDir(dataDir: string, wanted: string | undefined): string {
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
  const candidates = [wanted, `${dataDir}.socket`, join(tmpdir(), `headroom-${hash}`)];
  const fitting = candidates.find((dir) => dir !== undefined && isPlain(dir) && socketFits(dir));
  return fitting ?? `/tmp/headroom-${hash}`;
}

/**
 * Read by everybody as it is written: PostgreSQL's list of folders has commas between them and quotes around some, and a percent sign in a
 * URL is decoded twice by some that read it.
 */
function isPlain(dir: string): boolean {
  return !/[,"%]/.test(dir);
}

export function socketFits(dir: string): boolean {
  return Buffer.byteLength(join(dir, `.s.PGSQL.${socketPort}`)) <= maxSocketPathBytes;
}

/** Whoever can enter this folder is let into the database without a password: so nobody but us may have made it. */
async function preparePrivateDir(dir: string, account: Account | undefined): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const found = await lstat(dir);
  const ours = process.getuid?.();
  if (!found.isDirectory() || (found.uid !== ours && found.uid !== account?.uid)) {
    throw new DataDirUnusableError(
      `${dir} is to hold PostgreSQL's socket, but it belongs to uid ${found.uid}: delete it and start again`,
    );
  }
  if (account !== undefined && found.uid !== account.uid) await chown(dir, account.uid, account.gid);
  await chmod(dir, 0o700);
}

async function storedPassword(dataDir: string): Promise<string> {
  const path = `${dataDir}.password`;
  const stored = await readFile(path, "utf8").catch(() => null);
  if (stored !== null) return stored.trim();
  const password = randomBytes(24).toString("hex");
  await writeFile(path, password, { mode: 0o600 });
  return password;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
