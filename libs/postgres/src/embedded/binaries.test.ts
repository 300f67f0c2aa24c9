import { mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { makeTempDir } from "@headroom/testing";
import { chooseSocketDir, connectionUrl } from "./access.ts";
import { chooseCopyDir, findBinaries } from "./binaries.ts";
import { copyBinaries } from "./binaries-copy.ts";
import { addMissingLinks, readLinks } from "./library-links.ts";
import { runCommand } from "./run-command.ts";
import { pruneLogs, readLogTail } from "./server-log.ts";
import { settingsFile } from "./settings.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function tempDir(): Promise<string> {
  const dir = await makeTempDir("programs");
  cleanups.push(() => dir.remove());
  return dir.path;
}

async function fakePackage(): Promise<string> {
  const home = await tempDir();
  await mkdir(join(home, "bin"));
  await mkdir(join(home, "lib", "pkgconfig"), { recursive: true });
  await writeFile(join(home, "bin", "postgres"), "program");
  await writeFile(join(home, "lib", "libpq.so.5.17"), "library");
  await writeFile(join(home, "lib", "libpq.a"), "archive");
  const links = [
    { source: "native/lib/libpq.so.5.17", target: "native/lib/libpq.so.5" },
    { source: "native/lib/libpq.so.5.17", target: "native/../../outside" },
    { source: 7 },
  ];
  await writeFile(join(home, "pg-symlinks.json"), JSON.stringify(links));
  return home;
}

describe("PostgreSQL's programs", () => {
  it("are found, and run", async () => {
    const { initdb, majorVersion } = await findBinaries({ account: undefined, copyDir: await tempDir() });
    const { exitCode, output } = await runCommand(initdb, ["--version"], {
      account: undefined,
      cwd: "/",
      limitMs: 20_000,
    });
    expect(exitCode).toBe(0);
    expect(output).toContain(`PostgreSQL) ${majorVersion}.`);
  });

  it("get the links that a skipped install script did not make, and none outside their folder", async () => {
    const home = await fakePackage();
    const links = await readLinks(home);
    expect(links).toEqual([{ source: "lib/libpq.so.5.17", target: "lib/libpq.so.5" }]);
    expect(await addMissingLinks(home, links)).toBe(true);
    expect(await addMissingLinks(home, links)).toBe(true);
    expect(await readlink(join(home, "lib", "libpq.so.5"))).toBe("libpq.so.5.17");
  });

  it("are copied whole, once, by many at a time, without what is never run", async () => {
    const home = await fakePackage();
    const links = await readLinks(home);
    await symlink("nowhere", join(home, "lib", "dangling"));
    const destination = join(await tempDir(), "17.10");
    await Promise.all([1, 2, 3].map(() => copyBinaries(home, links, destination)));
    expect(await readFile(join(destination, "lib", "libpq.so.5"), "utf8")).toBe("library");
    expect((await readdir(join(destination, "lib"))).toSorted()).toEqual(["dangling", "libpq.so.5", "libpq.so.5.17"]);
    expect(await readdir(join(destination, ".."))).toEqual(["17.10"]);
  });

  it.skipIf(process.platform === "win32")("are copied to where a shell can start them", () => {
    expect(chooseCopyDir("/data/a b's 100%/pg.programs", "/var/x")).toBe("/data/a b's 100%/pg.programs");
    for (const char of ["$", "`", '"', "\\"])
      expect(chooseCopyDir(`/data/a${char}b/pg.programs`, "/var/x")).toBe("/var/x");
    expect(() => chooseCopyDir("/data/$a", "/home/$b")).toThrow(/cannot run from .*HEADROOM_DATA_DIR/);
  });

  it.runIf(process.getuid?.() === 0)("run from their copy, as a user without rights", async () => {
    const account = { uid: 65_534, gid: 65_534 };
    const { initdb } = await findBinaries({ account: undefined, copyDir: await tempDir() });
    const home = join(initdb, "..", "..");
    const copy = await copyBinaries(home, await readLinks(home), join(await tempDir(), "17.10"));
    for (const program of ["initdb", "pg_ctl", "postgres"]) {
      const { exitCode } = await runCommand(join(copy, "bin", program), ["--version"], {
        account,
        cwd: "/",
        limitMs: 20_000,
      });
      expect(exitCode).toBe(0);
    }
  });
});

describe("the way in", () => {
  it("is a socket whose path fits into what the system takes", () => {
    expect(chooseSocketDir("/data/pg", undefined)).toBe("/data/pg.socket");
    expect(chooseSocketDir("/data/pg", "/run/me")).toBe("/run/me");
    // PostgreSQL takes a list of them, and it stands in a URL.
    for (const name of ["a, b", '"', "100%"])
      expect(chooseSocketDir(`/data/${name}/pg`, undefined)).toMatch(/headroom-[0-9a-f]{16}$/);
    const long = chooseSocketDir(`/data/${"x".repeat(200)}`, undefined);
    expect(long).toMatch(/headroom-[0-9a-f]{16}$/);
    expect(chooseSocketDir(`/data/${"x".repeat(200)}`, undefined)).toBe(long);
    expect(chooseSocketDir(`/data/${"y".repeat(200)}`, undefined)).not.toBe(long);
  });

  it("is written as a URL that other programs can read", () => {
    const url = new URL(connectionUrl({ kind: "socket", dir: "/a b/c", port: 5432 }, "head room"));
    expect(url.searchParams.get("host")).toBe("/a b/c");
    expect(url.pathname).toBe("/head%20room");
    expect(connectionUrl({ kind: "loopback", port: 7, password: "pw" }, "db")).toBe(
      "postgresql://headroom:pw@127.0.0.1:7/db?sslmode=disable&options=-ctimezone%3DUTC",
    );
  });

  it("opens no TCP port on Unix, and on Windows only loopback's", () => {
    expect(settingsFile({ kind: "socket", dir: "/it's", port: 5432 }, {})).toContain("listen_addresses = ''\n");
    expect(settingsFile({ kind: "socket", dir: "/it's", port: 5432 }, {})).toContain("'/it''s'");
    expect(settingsFile({ kind: "socket", dir: "/a\\n", port: 5432 }, {})).toContain("'/a\\\\n'");
    expect(settingsFile({ kind: "loopback", port: 7, password: "pw" }, {})).toContain("listen_addresses = '127.0.0.1'");
    expect(settingsFile({ kind: "loopback", port: 7, password: "pw" }, {})).not.toContain("pw");
  });
});

describe("PostgreSQL's log", () => {
  it("is bounded to its five newest files, and its end can be told", async () => {
    const dataDir = await tempDir();
    await mkdir(join(dataDir, "log"));
    for (let day = 1; day <= 9; day += 1) {
      await writeFile(join(dataDir, "log", `postgresql-2026010${day}-000000.log`), `day ${day}\n`);
    }
    await writeFile(join(dataDir, "startup.log"), `${"x".repeat(5_000)}\nFATAL: no\n`);
    await pruneLogs(dataDir);
    expect((await readdir(join(dataDir, "log"))).map((name) => name.slice(17, 19))).toEqual([
      "05",
      "06",
      "07",
      "08",
      "09",
    ]);
    const tail = await readLogTail(dataDir);
    expect(tail).toMatch(/FATAL: no\nday 9$/);
    expect(tail.length).toBeLessThan(2_100);
    expect(await readLogTail(join(dataDir, "nowhere"))).toBe("");
  });
});
