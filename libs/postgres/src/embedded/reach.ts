import { access, chmod, constants, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname } from "node:path";
import { DataDirUnusableError } from "./errors.ts";
import type { Account } from "./run-command.ts";

/** Whether the account (undefined: we) may execute the file at `path`, which includes entering every folder above it. */
export async function canReach(path: string, account: Account | undefined): Promise<boolean> {
  if (account === undefined) {
    return access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
  }
  return (await firstBarrier(path, account)) === null;
}

/**
 * Sees to it that the account can enter `dir` (which exists) and everything above it. A folder of ours that only we may
 * enter, typically the data folder's parent, is opened for entering (not for listing); but never a home folder.
 */
export async function openTheWay(dir: string, account: Account): Promise<void> {
  const barrier = await firstBarrier(dir, account);
  if (barrier === null) return;
  const { mode, uid } = await stat(barrier);
  if (barrier === dir && uid === process.getuid?.() && dir !== homedir()) {
    await chmod(dir, mode | 0o011);
    return;
  }
  throw new DataDirUnusableError(
    `PostgreSQL refuses to run as root, so it runs as uid ${account.uid}, which may not enter ${barrier}: ` +
      `choose another folder with HEADROOM_DATA_DIR (for instance /var/lib/headroom), or start as an ordinary user, or set DATABASE_URL`,
  );
}

/** The topmost part of the path that the account may not enter or execute; null if there is none. */
async function firstBarrier(path: string, account: Account): Promise<string | null> {
  const parts = [path];
  for (let part = path; dirname(part) !== part; part = dirname(part)) parts.unshift(dirname(part));
  for (const part of parts) {
    const found = await stat(part).catch(() => null);
    if (found === null) return part;
    const bit = found.uid === account.uid ? 0o100 : found.gid === account.gid ? 0o010 : 0o001;
    if ((found.mode & bit) === 0) return part;
  }
  return null;
}
