/** The registry as a program: settings from the environment, a log file, a token, a clean end. */
import { runRegistry } from "@headroom/registry";
import { createTestDatabase, makeTempDir, type TempDir, type TestDatabase } from "@headroom/testing";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

describe("runRegistry", () => {
  let database: TestDatabase;
  let dir: TempDir;

  beforeEach(async () => {
    database = await createTestDatabase({ label: "registry program" });
    dir = await makeTempDir("registry program");
  });
  afterEach(async () => {
    await dir.remove();
    await database.drop();
  });

  const env = () => ({
    DATABASE_URL: database.connectionString,
    HEADROOM_DATA_DIR: dir.path,
    HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
    HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
  });

  it("serves until told to stop, and ends with 0; its log is JSON, its token private", async () => {
    const stop = new AbortController();
    let address: unknown = null;
    const code = await runRegistry({
      env: env(),
      until: stop.signal,
      onReady(registry) {
        address = registry.grpcAddress;
        stop.abort();
      },
    });
    expect(code).toBe(0);
    expect(address).toMatchObject({ host: "127.0.0.1" });
    expect((await stat(join(dir.path, "token"))).mode & 0o777).toBe(0o600);
    const lines = (await readFile(join(dir.path, "logs", "registry.log"), "utf8")).trim().split("\n");
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.every(({ service }) => service === "registry")).toBe(true);
    expect(records.map(({ msg }) => msg)).toContain("the registry serves");
  });

  it("a token file named by a flag wins over a token of the environment", async () => {
    const stop = new AbortController();
    const tokenFile = join(dir.path, "named");
    const settings = {
      env: { ...env(), HEADROOM_TOKEN: "0123456789abcdef" },
      flags: { "token-file": tokenFile },
      until: stop.signal,
      onReady: () => stop.abort(),
    };
    // One that nobody has written is no reason to make a new token, which would end all credentials.
    await expect(runRegistry(settings)).rejects.toThrow(
      /named \(--token-file\) does not exist, and HEADROOM_TOKEN is set/,
    );
    await writeFile(tokenFile, "fedcba9876543210", { mode: 0o600 });
    await runRegistry(settings);
    expect(await readFile(tokenFile, "utf8")).toBe("fedcba9876543210");
  });

  it("a wrong setting is told with variable, flag and the right way, before anything starts", async () => {
    const wrong = runRegistry({ env: { ...env(), HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "never" } });
    await expect(wrong).rejects.toThrow(/HEADROOM_HEARTBEAT_INTERVAL_SECONDS \(--heartbeat-interval-seconds\)/);
  });
});
