import { chown, mkdir, readFile, readdir, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, writeFileAtomic } from "@headroom/runtime";
import { type Access, superuser } from "./access.ts";
import type { Binaries } from "./binaries.ts";
import { DataDirUnusableError, InitFailedError } from "./errors.ts";
import { type Account, runCommand } from "./run-command.ts";
import { settingsFile } from "./settings.ts";

const initdbLimitMs = 120_000;
const settingsName = "headroom.conf";
/** PostgreSQL refuses to run as root; this is `nobody` on Linux, and needs no entry in any list of users. */
const unprivileged: Account = { uid: 65_534, gid: 65_534 };

/** Who runs PostgreSQL: we, or, when we are root, the owner of the data folder, or `nobody`. */
export async function chooseAccount(dataDir: string): Promise<Account | undefined> {
  const own = process.getuid?.();
  const owner = await stat(join(dataDir, "PG_VERSION")).catch(() => null);
  if (own === 0) return owner === null || owner.uid === 0 ? unprivileged : { uid: owner.uid, gid: owner.gid };
  if (own !== undefined && owner !== null && owner.uid !== own) {
    throw new DataDirUnusableError(
      `${dataDir} belongs to uid ${owner.uid} and we are uid ${own}: ` +
        `start as its owner (or as root), or choose another folder with HEADROOM_DATA_DIR`,
    );
  }
  return undefined;
}

/** The major version that made the data folder; null if there is none yet. Throws DataDirUnusableError for anything else. */
export async function clusterVersion(dataDir: string): Promise<string | null> {
  // PostgreSQL tells about itself in a file of lines, of which the folder's name is one.
  if (/[\r\n]/.test(dataDir)) {
    throw new DataDirUnusableError(
      `${JSON.stringify(dataDir)} has a line break in its name, which PostgreSQL cannot have: choose another folder with HEADROOM_DATA_DIR`,
    );
  }
  const version = await readFile(join(dataDir, "PG_VERSION"), "utf8").catch(() => null);
  if (version !== null) return version.trim();
  const names = await readdir(dataDir).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return [];
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataDirUnusableError(
      `${dataDir} cannot be read (${reason}): choose another folder with HEADROOM_DATA_DIR`,
    );
  });
  if (names.length === 0) return null;
  throw new DataDirUnusableError(
    `${dataDir} holds something else than PostgreSQL's data: empty it, or choose another folder with HEADROOM_DATA_DIR`,
  );
}

/**
 * Creates the data folder. It is built beside its place and then moved there, so a kill in the middle leaves nothing
 * that looks like a database.
 */
export async function createCluster(
  dataDir: string,
  binaries: Binaries,
  access: Access,
  account: Account | undefined,
): Promise<void> {
  const draft = `${dataDir}.init`;
  const passwordFile = `${dataDir}.init-password`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  if (account !== undefined) await chown(draft, account.uid, account.gid);
  if (access.kind === "loopback") await writeFile(passwordFile, access.password, { mode: 0o600 });
  const auth =
    access.kind === "socket"
      ? ["--auth-local=trust", "--auth-host=reject"]
      : ["--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  try {
    const args = ["-D", draft, "-U", superuser, "-E", "UTF8", "--locale=C", "--data-checksums", "--no-instructions"];
    const { exitCode, output } = await runCommand(binaries.initdb, [...args, ...auth], {
      account,
      cwd: draft,
      limitMs: initdbLimitMs,
    });
    if (exitCode !== 0) throw new InitFailedError(`PostgreSQL could not create ${dataDir}`, output);
    await rmdir(dataDir).catch(() => undefined);
    await rename(draft, dataDir);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

/** Writes our settings into the data folder; ours go last, so they win. */
export async function writeSettings(
  dataDir: string,
  access: Access,
  extra: Readonly<Record<string, string>>,
  account: Account | undefined,
): Promise<void> {
  // Whole or not at all, on a full disk too: what stands in PostgreSQL's own file is only added to.
  const write = (name: string, text: string): Promise<void> =>
    writeFileAtomic(join(dataDir, name), text, { mode: 0o600, owner: account });
  await write(settingsName, settingsFile(access, extra));
  const main = await readFile(join(dataDir, "postgresql.conf"), "utf8");
  const include = `include_if_exists = '${settingsName}'`;
  if (!main.includes(include)) await write("postgresql.conf", `${main}\n${include}\n`);
}
