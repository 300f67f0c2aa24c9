import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where the programs are that a PostgreSQL with failover is made of. */
export interface Programs {
  readonly etcd: string;
  readonly patroni: string;
  readonly patronictl: string;
  readonly haproxy: string;
  /** Folder of `postgres`, `initdb`, `pg_basebackup` and `pg_rewind`. */
  readonly postgresBin: string;
}

export interface ProgramsMissing {
  readonly kind: "missing";
  /** Debian's names of them. */
  readonly packages: readonly string[];
}

const debianPostgres = "/usr/lib/postgresql";
/** The oldest that Headroom supports. */
const oldestMajor = 15;

/** Finds them where Debian puts them, or on the PATH; installs nothing. */
export function findPrograms(): { readonly kind: "found"; readonly programs: Programs } | ProgramsMissing {
  const etcd = onPath("etcd");
  const patroni = onPath("patroni");
  const patronictl = onPath("patronictl");
  const haproxy = onPath("haproxy");
  const postgresBin = newestPostgres();
  if (etcd && patroni && patronictl && haproxy && postgresBin) {
    return { kind: "found", programs: { etcd, patroni, patronictl, haproxy, postgresBin } };
  }
  const packages = [
    ...(etcd ? [] : ["etcd-server"]),
    ...(patroni && patronictl ? [] : ["patroni"]),
    ...(haproxy ? [] : ["haproxy"]),
    ...(postgresBin ? [] : [`postgresql-${oldestMajor}`]),
  ];
  return { kind: "missing", packages };
}

function onPath(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/bin"];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function newestPostgres(): string | undefined {
  return majorsThere()
    .filter((major) => major >= oldestMajor)
    .sort((a, b) => b - a)
    .map((major) => join(debianPostgres, String(major), "bin"))
    .find((bin) => ["postgres", "initdb", "pg_basebackup", "pg_rewind"].every((name) => isProgram(join(bin, name))));
}

function majorsThere(): readonly number[] {
  try {
    return readdirSync(debianPostgres).map(Number);
  } catch {
    return [];
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
