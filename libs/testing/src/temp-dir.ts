import { chmod, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempDir {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * A fresh folder. Others may enter it (not list it): when tests run as root, PostgreSQL runs as another
 * user and has to get to its data inside.
 */
export async function makeTempDir(label: string, within: string = tmpdir()): Promise<TempDir> {
  const path = await realpath(await mkdtemp(join(within, `headroom-${label}-`)));
  await chmod(path, 0o711);
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }) };
}
