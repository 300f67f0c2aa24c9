import { chmod, chown, link, lstat, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { silentLogger, systemPorts, takeOwnerLock } from "@headroom/runtime";
import { captureLogger, makeTempDir, type SpawnedScript, spawnScript, waitFor } from "@headroom/testing";
import pg from "pg";
import {
  createDatabase,
  DataDirInUseError,
  DataDirUnusableError,
  type EmbeddedPostgres,
  startEmbedded,
} from "../index.ts";
import { processStartTime } from "@headroom/runtime";

const ownerProgram = fileURLToPath(new URL("./owner.test-helper.ts", import.meta.url));
const isRoot = process.getuid?.() === 0;
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function freshDir(): Promise<string> {
  const dir = await makeTempDir("pg");
  cleanups.push(() => dir.remove());
  return dir.path;
}

async function start(dataDir: string, logger = silentLogger): Promise<EmbeddedPostgres> {
  const server = await startEmbedded({ dataDir, logger });
  cleanups.push(() => server.stop());
  return server;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

interface Ready {
  readonly url: string;
  readonly pid: number;
  readonly adopted: boolean;
}

async function spawnOwner(dataDir: string, uid?: number): Promise<SpawnedScript> {
  const script = await spawnScript(ownerProgram, {
    args: [dataDir, `${dataDir}.programs`],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  cleanups.push(async () => {
    script.child.kill("SIGTERM");
    await script.ended();
  });
  return script;
}

async function ready(owner: SpawnedScript): Promise<Ready> {
  return JSON.parse(await owner.line("READY ")) as Ready;
}

const isGone = async (pid: number): Promise<boolean> => (await processStartTime(pid)) === null;

describe("embedded PostgreSQL", () => {
  it("starts on a fresh folder with our settings, keeps its data over a restart, and stops twice", async () => {
    const dataDir = join(await freshDir(), "postgres");
    const first = await start(dataDir);
    const pid = first.pid() ?? 0;
    const settings = await query(
      first.connectionString,
      `SELECT name, setting FROM pg_settings WHERE name IN ('listen_addresses', 'fsync', 'synchronous_commit',
         'max_connections', 'TimeZone', 'server_encoding', 'unix_socket_permissions', 'data_checksums')`,
    );
    expect(Object.fromEntries(settings.map((row) => [row["name"], row["setting"]]))).toEqual({
      listen_addresses: "",
      fsync: "on",
      synchronous_commit: "on",
      max_connections: "100",
      TimeZone: "UTC",
      server_encoding: "UTF8",
      unix_socket_permissions: "0700",
      data_checksums: "on",
    });
    const locale = "SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()";
    expect(await query(first.connectionString, locale)).toEqual([{ datcollate: "C", datctype: "C" }]);
    await query(first.connectionString, "CREATE TABLE kept AS SELECT 1 AS one");
    await Promise.all([first.stop(), first.stop()]);
    await first.stop();
    expect(await isGone(pid)).toBe(true);
    expect(first.pid()).toBeNull();

    const second = await start(dataDir);
    expect(second.adopted).toBe(false);
    expect(second.connectionString).toBe(first.connectionString);
    expect(await query(second.connectionString, "SELECT one FROM kept")).toEqual([{ one: 1 }]);
  });

  it("lets nobody but its user near the socket, and puts it in a short folder if the path is too long", async () => {
    const dataDir = join(await freshDir(), "a-long-name-".repeat(9), "postgres");
    const server = await start(dataDir);
    const socketDir = new URL(server.connectionString).searchParams.get("host") ?? "";
    const { mode } = await stat(socketDir);
    expect(mode & 0o777).toBe(0o700);
    expect(Buffer.byteLength(join(socketDir, ".s.PGSQL.5432"))).toBeLessThanOrEqual(103);
    expect(await query(server.connectionString, "SELECT current_database() AS db")).toEqual([{ db: "headroom" }]);
    await server.stop();
    await expect(stat(socketDir)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("is reached whatever the environment says of another PostgreSQL", async () => {
    vi.stubEnv("PGSSLMODE", "require");
    vi.stubEnv("PGSSLNEGOTIATION", "direct");
    vi.stubEnv("PGOPTIONS", "-c no_such_setting=1");
    vi.stubEnv("PGPASSWORD", "not this one's");
    cleanups.push(() => Promise.resolve(vi.unstubAllEnvs()));
    const server = await start(join(await freshDir(), "postgres"));
    const database = createDatabase({
      connection: server,
      schema: "public",
      applicationName: "environment",
      logger: silentLogger,
      ports: systemPorts,
    });
    try {
      await database.ping();
    } finally {
      await database.close();
    }
  });

  it.skipIf(process.platform === "win32")(
    "runs on a folder that is a link to another one, and stops there",
    async () => {
      const dir = await freshDir();
      await mkdir(join(dir, "elsewhere", "data"), { recursive: true });
      const dataDir = join(dir, "postgres");
      await symlink(join(dir, "elsewhere", "data"), dataDir);
      const first = await start(dataDir);
      const pid = first.pid() ?? 0;
      expect(await query(first.connectionString, "SELECT 8 AS eight")).toEqual([{ eight: 8 }]);
      await first.stop();
      expect(await isGone(pid)).toBe(true);
      expect((await lstat(dataDir)).isSymbolicLink()).toBe(true);
      expect((await readFile(join(dir, "elsewhere", "data", "PG_VERSION"), "utf8")).trim()).not.toBe("");
      expect((await start(dataDir)).adopted).toBe(false);
    },
  );

  it.skipIf(process.platform === "win32")(
    "has one owner by whatever link it is called, also where an earlier version holds the lock beside the link",
    async () => {
      const dir = await freshDir();
      const itself = join(dir, "disk", "data");
      await mkdir(itself, { recursive: true });
      const links = await Promise.all(
        ["one", "other"].map(async (name) => {
          await mkdir(join(dir, name));
          await symlink(itself, join(dir, name, "postgres"));
          return join(dir, name, "postgres");
        }),
      );
      const [byOne = "", byOther = ""] = links;
      const server = await start(byOne);
      for (const path of [itself, byOther]) {
        await expect(startEmbedded({ dataDir: path, logger: silentLogger })).rejects.toThrow(DataDirInUseError);
      }
      await server.stop();
      expect((await start(itself)).connectionString).toBe(server.connectionString);
      await cleanups.pop()?.();

      const earlier = await takeOwnerLock(`${byOther}.lock`, { clock: systemPorts.clock });
      await expect(startEmbedded({ dataDir: byOther, logger: silentLogger })).rejects.toMatchObject({
        name: "DataDirInUseError",
        pid: process.pid,
      });
      if (earlier.kind === "taken") await earlier.lock.release();
      expect((await start(byOther)).adopted).toBe(false);
    },
  );

  it("refuses a second owner in this process and in another, naming the pid and the way out", async () => {
    const dataDir = join(await freshDir(), "postgres");
    await start(dataDir);
    const again = startEmbedded({ dataDir, logger: silentLogger });
    await expect(again).rejects.toThrow(DataDirInUseError);
    await expect(again).rejects.toMatchObject({ pid: process.pid });
    const other = await spawnOwner(dataDir);
    const said = await other.line("FAILED ");
    expect(said).toContain(`DataDirInUseError: process ${process.pid} already runs`);
    expect(said).toContain("HEADROOM_DATA_DIR");
    expect(await other.ended()).toBe(3);
  });

  it("of four who start at once one alone gets the folder", async () => {
    const dataDir = join(await freshDir(), "postgres");
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => start(dataDir)));
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(DataDirInUseError);
    }
  });

  it("adopts the server that a killed owner left running, with everything it had", async () => {
    const dataDir = join(await freshDir(), "postgres");
    const owner = await spawnOwner(dataDir);
    const before = await ready(owner);
    await query(before.url, "CREATE TABLE kept AS SELECT 2 AS two");
    await owner.kill9();
    expect(await isGone(before.pid)).toBe(false);

    const server = await start(dataDir);
    expect(server.adopted).toBe(true);
    expect(server.pid()).toBe(before.pid);
    expect(server.connectionString).toBe(before.url);
    expect(await query(server.connectionString, "SELECT two FROM kept")).toEqual([{ two: 2 }]);
    await server.stop();
    expect(await isGone(before.pid)).toBe(true);
  });

  it("starts again when both the owner and the server were killed", async () => {
    const dataDir = join(await freshDir(), "postgres");
    const owner = await spawnOwner(dataDir);
    const before = await ready(owner);
    await query(before.url, "CREATE TABLE kept AS SELECT 3 AS three");
    await owner.kill9();
    process.kill(before.pid, "SIGKILL");
    const server = await start(dataDir);
    expect(server.adopted).toBe(false);
    expect(await query(server.connectionString, "SELECT three FROM kept")).toEqual([{ three: 3 }]);
  });

  it("brings a killed server back, says so loudly, and loses nothing that was committed", async () => {
    const logger = captureLogger();
    const server = await start(join(await freshDir(), "postgres"), logger);
    await query(server.connectionString, "CREATE TABLE kept AS SELECT 4 AS four");
    const killed = server.pid() ?? 0;
    process.kill(killed, "SIGKILL");
    await waitFor(() => server.pid() !== null && server.pid() !== killed, { describe: () => logger.text() });
    expect(await query(server.connectionString, "SELECT four FROM kept")).toEqual([{ four: 4 }]);
    expect(logger.has("PostgreSQL ended unexpectedly", "error")).toBe(true);
    expect(logger.has("PostgreSQL runs again", "warn")).toBe(true);
  });

  it("stop during a restart after a crash leaves nothing running", async () => {
    const logger = captureLogger();
    const dataDir = join(await freshDir(), "postgres");
    const server = await start(dataDir, logger);
    process.kill(server.pid() ?? 0, "SIGKILL");
    await waitFor(() => logger.has("ended unexpectedly"));
    await server.stop();
    const pidFile = await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(() => null);
    if (pidFile !== null) expect(await isGone(Number(pidFile.split("\n")[0]))).toBe(true);
    const next = await start(dataDir);
    expect(await query(next.connectionString, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("replaces its settings files as a whole, so that a full disk leaves none of them torn", async () => {
    const dir = await freshDir();
    const dataDir = join(dir, "postgres");
    await (await start(dataDir)).stop();
    const main = join(dataDir, "postgresql.conf");
    const { uid } = await stat(main);
    await writeFile(main, "work_mem = '9MB'\n");
    for (const name of ["postgresql.conf", "headroom.conf"]) await link(join(dataDir, name), join(dir, name));
    const server = await start(dataDir);
    // A file that is written in place changes under its other name too.
    expect(await readFile(join(dir, "postgresql.conf"), "utf8")).toBe("work_mem = '9MB'\n");
    for (const name of ["postgresql.conf", "headroom.conf"]) {
      const found = await stat(join(dataDir, name));
      expect(found).toMatchObject({ uid, nlink: 1 });
      expect(found.mode & 0o777).toBe(0o600);
    }
    expect(await query(server.connectionString, "SHOW max_connections")).toEqual([{ max_connections: "100" }]);
  });

  it("leaves a folder alone that holds something else, and can use it once emptied", async () => {
    const dataDir = join(await freshDir(), "postgres");
    await mkdir(dataDir);
    await writeFile(join(dataDir, "thesis.txt"), "precious");
    const refused = startEmbedded({ dataDir, logger: silentLogger });
    await expect(refused).rejects.toThrow(DataDirUnusableError);
    await expect(refused).rejects.toThrow("HEADROOM_DATA_DIR");
    expect(await readFile(join(dataDir, "thesis.txt"), "utf8")).toBe("precious");
  });

  it("tells what PostgreSQL said when it cannot start", async () => {
    const dataDir = join(await freshDir(), "postgres");
    await (await start(dataDir)).stop();
    const broken = startEmbedded({ dataDir, logger: silentLogger, settings: { shared_buffers: "lots" } });
    await expect(broken).rejects.toMatchObject({ name: "InitFailedError" });
    await expect(broken).rejects.toThrow(/invalid value for parameter "shared_buffers"/);
    expect((await start(dataDir)).adopted).toBe(false);
  });

  it.runIf(isRoot)("runs as an ordinary user as well, and root can take that user's folder over", async () => {
    const dir = await freshDir();
    const home = join(dir, "home");
    await mkdir(home);
    await chown(home, 65_534, 65_534);
    const dataDir = join(home, "postgres");
    const owner = await spawnOwner(dataDir, 65_534);
    const before = await ready(owner);
    expect(await query(before.url, "SELECT 5 AS five")).toEqual([{ five: 5 }]);
    expect((await stat(dataDir)).uid).toBe(65_534);
    await owner.kill9();
    const server = await start(dataDir);
    expect(server.adopted).toBe(true);
  });

  it.runIf(isRoot)("tells an ordinary user that the folder belongs to somebody else", async () => {
    const dir = await freshDir();
    const dataDir = join(dir, "postgres");
    await (await start(dataDir)).stop();
    await chmod(dir, 0o777);
    const owner = await spawnOwner(dataDir, 12_345);
    expect(await owner.line("FAILED ")).toMatch(/DataDirUnusableError: .*HEADROOM_DATA_DIR/);
  });

  it.runIf(isRoot)("as root opens the data folder's own parent for entering, and no other folder", async () => {
    const dir = await freshDir();
    const home = join(dir, "home");
    await mkdir(home, { mode: 0o700 });
    const server = await start(join(home, "postgres"));
    expect(await query(server.connectionString, "SELECT 6 AS six")).toEqual([{ six: 6 }]);
    expect((await stat(home)).mode & 0o777).toBe(0o711);

    const closed = join(dir, "closed");
    await mkdir(join(closed, "home"), { recursive: true, mode: 0o700 });
    const refused = startEmbedded({ dataDir: join(closed, "home", "postgres"), logger: silentLogger });
    await expect(refused).rejects.toThrow(DataDirUnusableError);
    await expect(refused).rejects.toThrow(`may not enter ${closed}:`);
    expect((await stat(closed)).mode & 0o777).toBe(0o700);
  });
});
