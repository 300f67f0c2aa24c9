import { makeTempDir, type TempDir } from "@headroom/testing";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readUpSettings } from "./settings.ts";

describe("the settings of headroom up", () => {
  let dir: TempDir;
  beforeEach(async () => {
    dir = await makeTempDir("up settings");
  });
  afterEach(() => dir.remove());

  it("give the parts the file of --token-file, and no token that stands in the environment", async () => {
    const env = { HEADROOM_DATA_DIR: dir.path, HEADROOM_TOKEN: "0123456789abcdef" };
    expect((await readUpSettings(env, {})).env).toMatchObject({ HEADROOM_TOKEN: "0123456789abcdef" });
    const tokenFile = join(dir.path, "named");
    await writeFile(tokenFile, "0123456789abcdef", { mode: 0o600 });
    const named = await readUpSettings(env, { "token-file": tokenFile });
    expect(named.env).toMatchObject({ HEADROOM_TOKEN_FILE: tokenFile });
    expect(named.env["HEADROOM_TOKEN"]).toBeUndefined();
  });

  it("pass over addresses of services elsewhere, also for what up asks itself", async () => {
    const elsewhere = { HEADROOM_REGISTRY_ADDR: "reg", HEADROOM_ORCHESTRATOR_ADDR: "orch" };
    const { env } = await readUpSettings({ HEADROOM_DATA_DIR: dir.path, ...elsewhere }, {});
    expect([env["HEADROOM_REGISTRY_ADDR"], env["HEADROOM_ORCHESTRATOR_ADDR"]]).toEqual([undefined, undefined]);
  });

  it("know that REST speaks TLS", async () => {
    const env = { HEADROOM_DATA_DIR: dir.path };
    expect((await readUpSettings(env, {})).restScheme).toBe("http");
    const tls = {
      HEADROOM_TLS_CERT_FILE: join(dir.path, "c.pem"),
      HEADROOM_TLS_KEY_FILE: join(dir.path, "k.pem"),
      HEADROOM_TLS_CA_FILE: join(dir.path, "ca.pem"),
    };
    expect((await readUpSettings({ ...env, ...tls }, {})).restScheme).toBe("https");
  });

  it("know how long the agent gives what runs, from its own file too", async () => {
    const env = { HEADROOM_DATA_DIR: dir.path };
    expect((await readUpSettings(env, {})).agentStopGraceMs).toBe(10_000);
    const given = { ...env, HEADROOM_AGENT_STOP_GRACE_SECONDS: "600" };
    expect((await readUpSettings(given, {})).agentStopGraceMs).toBe(600_000);
    await mkdir(join(dir.path, "agent"));
    await writeFile(join(dir.path, "agent", "agent.yaml"), "stop_grace_seconds: 120\n");
    expect((await readUpSettings(env, {})).agentStopGraceMs).toBe(120_000);
  });

  it("name no token file where the token stands in the environment", async () => {
    const env = { HEADROOM_DATA_DIR: dir.path };
    expect((await readUpSettings(env, {})).tokenFile).toBe(join(dir.path, "token"));
    const inEnv = { ...env, HEADROOM_TOKEN: "0123456789abcdef" };
    expect((await readUpSettings(inEnv, {})).tokenFile).toBeNull();
    const named = join(dir.path, "named");
    await writeFile(named, "0123456789abcdef", { mode: 0o600 });
    expect(await readUpSettings(inEnv, { "token-file": named })).toMatchObject({ tokenFile: named, warning: null });
  });

  it("tell of a token in the environment that the file of --token-file wins over, and refuse to write that file", async () => {
    const env = { HEADROOM_DATA_DIR: dir.path, HEADROOM_TOKEN: "0123456789abcdef" };
    const flags = { "token-file": join(dir.path, "named") };
    await expect(readUpSettings(env, flags)).rejects.toThrow(/named \(--token-file\) does not exist.*HEADROOM_TOKEN/);
    await writeFile(flags["token-file"], "fedcba9876543210", { mode: 0o600 });
    expect((await readUpSettings(env, flags)).warning).toMatch(/^HEADROOM_TOKEN is another token than the one in/);
  });

  it("refuse TLS on one side alone, by which its parts could not reach each other", async () => {
    const env = { HEADROOM_DATA_DIR: dir.path };
    const served = { HEADROOM_TLS_CERT_FILE: join(dir.path, "c.pem"), HEADROOM_TLS_KEY_FILE: join(dir.path, "k.pem") };
    await expect(readUpSettings({ ...env, ...served }, {})).rejects.toThrow(
      /HEADROOM_TLS_CERT_FILE is set without HEADROOM_TLS_CA_FILE.*: name in it the CA/,
    );
    const called = { HEADROOM_TLS_CA_FILE: join(dir.path, "ca.pem") };
    await expect(readUpSettings({ ...env, ...called }, {})).rejects.toThrow(
      /HEADROOM_TLS_CA_FILE is set without HEADROOM_TLS_CERT_FILE.*take the CA away/,
    );
  });

  it("refuse a CA of clients that nobody would be asked by, before anything starts", async () => {
    const env = { HEADROOM_DATA_DIR: dir.path, HEADROOM_TLS_CLIENT_CA_FILE: join(dir.path, "ca.pem") };
    await expect(readUpSettings(env, {})).rejects.toThrow("HEADROOM_TLS_CLIENT_CA_FILE");
  });
});
