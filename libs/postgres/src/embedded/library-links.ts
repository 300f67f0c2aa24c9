import { readFile, stat, symlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";

/** A link between libraries that PostgreSQL's programs need; paths relative to their home folder. */
export interface LibraryLink {
  /** What the link points to. */
  readonly source: string;
  /** Where the link lies. */
  readonly target: string;
}

/** npm packages cannot hold links, so the package lists them; its install script, which npm may skip, makes them. */
export async function readLinks(home: string): Promise<LibraryLink[]> {
  const text = await readFile(join(home, "pg-symlinks.json"), "utf8").catch(() => "[]");
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) return [];
  return parsed.flatMap((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) return [];
    const source = insideHome(Reflect.get(entry, "source"));
    const target = insideHome(Reflect.get(entry, "target"));
    return source === null || target === null ? [] : [{ source, target }];
  });
}

/** The list's paths begin with `native/`; one that leads out of it is not followed. */
function insideHome(path: unknown): string | null {
  if (typeof path !== "string" || !path.startsWith("native/") || path.split("/").includes("..")) return null;
  return path.slice("native/".length).replaceAll("/", sep);
}

/** Makes the links that are not there; false if we may not write into the folder. */
export async function addMissingLinks(home: string, links: readonly LibraryLink[]): Promise<boolean> {
  for (const { source, target } of links) {
    const path = join(home, target);
    if (await exists(path)) continue;
    try {
      await symlink(relative(dirname(target), source), path);
    } catch {
      // Another process may have made it since.
      if (!(await exists(path))) return false;
    }
  }
  return true;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
