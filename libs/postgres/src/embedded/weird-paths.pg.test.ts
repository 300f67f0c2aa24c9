import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger } from "@headroom/runtime";
import { makeTempDir } from "@headroom/testing";
import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { describeTarget } from "../connection.ts";
import { DataDirUnusableError, type EmbeddedPostgres, startEmbedded } from "../index.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** All that a shell, a settings file or a URL could take for something else. */
const weird = "a$HOME$(id) `id` c\\d\\n 'e' #;&*?!~é";
/** And what makes the socket lie elsewhere. */
const weirder = `${weird} 100% %41 "f", {g}`;

async function freshDir(): Promise<string> {
  const dir = await makeTempDir("pg");
  cleanups.push(() => dir.remove());
  return dir.path;
}

async function start(dataDir: string): Promise<EmbeddedPostgres> {
  const server = await startEmbedded({ dataDir, logger: silentLogger });
  cleanups.push(() => server.stop());
  return server;
}

async function servedFolder({ connectionString }: EmbeddedPostgres): Promise<string | undefined> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return (await client.query<{ data_directory: string }>("SHOW data_directory")).rows[0]?.data_directory;
  } finally {
    await client.end();
  }
}

describe("an embedded PostgreSQL in a folder whose name means something to a shell", () => {
  it.each([weird, weirder])("is created, started, stopped and started again in %s", async (name) => {
    const dataDir = join(await freshDir(), name, "pg");
    const first = await start(dataDir);
    expect(await servedFolder(first)).toBe(dataDir);
    expect(describeTarget(first)).toContain('database "headroom"');
    expect(await readFile(join(dataDir, "startup.log"), "utf8")).not.toBe("");
    await first.stop();
    const second = await start(dataDir);
    expect(second.adopted).toBe(false);
    expect(await servedFolder(second)).toBe(dataDir);
  });

  it("refuses a line break, and says so", async () => {
    const refused = startEmbedded({ dataDir: join(await freshDir(), "a\nb", "postgres"), logger: silentLogger });
    await expect(refused).rejects.toThrow(DataDirUnusableError);
    await expect(refused).rejects.toThrow("line break");
  });
});
