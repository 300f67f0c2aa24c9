import { cp, lstat, mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EmbeddedPostgresError } from "./errors.ts";
import { addMissingLinks, type LibraryLink } from "./library-links.ts";

/** Parts for compiling against PostgreSQL: a sixth of the package, and never run. */
const unneeded = /\.a$|^pkgconfig$|^pg-symlinks\.json$/;

/** Two calls in one process must not share a draft. */
let drafts = 0;

/**
 * Copies the programs (about 55 MB) to `destination` unless they are there, for an account that cannot read the package.
 * The copy appears whole or not at all, so any number of processes may do this at once. Returns `destination`.
 */
export async function copyBinaries(home: string, links: readonly LibraryLink[], destination: string): Promise<string> {
  if (await isOurs(destination)) return destination;
  await mkdir(dirname(destination), { recursive: true, mode: 0o755 });
  drafts += 1;
  const draft = `${destination}.draft-${process.pid}-${drafts}`;
  try {
    await cp(home, draft, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !unneeded.test(basename(source)),
    });
    const kept = links.filter(({ source }) => !unneeded.test(basename(source)));
    if (!(await addMissingLinks(draft, kept))) throw new EmbeddedPostgresError(`cannot write into ${draft}`);
    await rename(draft, destination).catch(async (error: unknown) => {
      if (!(await isOurs(destination))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return destination;
}

/** Programs that somebody else put there are not run. */
async function isOurs(destination: string): Promise<boolean> {
  const found = await lstat(join(destination, "bin")).catch(() => null);
  if (found === null) return false;
  if (process.getuid !== undefined && found.uid !== process.getuid()) {
    throw new EmbeddedPostgresError(
      `${destination} belongs to uid ${found.uid} and is not used: delete it, or set HEADROOM_DATA_DIR`,
    );
  }
  return true;
}
