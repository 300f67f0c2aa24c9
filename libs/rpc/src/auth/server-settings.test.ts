import { ConfigError, defineConfig, loadConfigOrThrow } from "@headroom/runtime";
import { captureLogger, makeTempDir } from "@headroom/testing";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { startHttp } from "../http/http.test-helper.ts";
import { createClient, TokenFileError } from "../index.ts";
import { addressOf, agentId, openChannel, startServer } from "../rpc.test-helper.ts";
import { serverPaths, serverSecurity, serverSettings, withTokenOfFlag } from "./server-settings.ts";

const schema = defineConfig(serverSettings);
const load = (env: Readonly<Record<string, string>>) => loadConfigOrThrow(schema, { env }).values;

describe("the settings that every server has", () => {
  it("token and logs lie in the data folder", () => {
    expect(serverPaths(load({ HEADROOM_DATA_DIR: "/srv/headroom" }), "registry", {})).toEqual({
      tokenFile: "/srv/headroom/token",
      logFile: "/srv/headroom/logs/registry.log",
    });
  });

  it("writes the token that nobody gave", async () => {
    const dir = await makeTempDir("server-settings");
    try {
      const { token } = await serverSecurity(load({ HEADROOM_DATA_DIR: dir.path }), "registry");
      expect((await readFile(join(dir.path, "token"), "utf8")).trim()).toBe(token);
    } finally {
      await dir.remove();
    }
  });

  it("takes a token from the environment, and refuses one that can be guessed", async () => {
    const token = "0123456789abcdef0123456789abcdef";
    expect((await serverSecurity(load({ HEADROOM_TOKEN: token }), "registry")).token).toBe(token);
    await expect(serverSecurity(load({ HEADROOM_TOKEN: "hunter2" }), "registry")).rejects.toThrow(
      "HEADROOM_TOKEN has fewer than 16",
    );
  });

  it.each([
    ["correct horse battery staple", "HEADROOM_TOKEN is no token that callers can show (16 to 4096 printable"],
    ["naïve-passwörd-long-enough", "openssl rand -hex 32"],
    ["0123456789abcdef\u007f", "printable ASCII characters without spaces"],
    ["hrc1.aaaaaaaaaaaaaaaaaaaa", "begins with hrc1., as an agent's credential does"],
  ])("refuses the token %s, which every call would fail with", async (token, said) => {
    await expect(serverSecurity(load({ HEADROOM_TOKEN: token }), "registry")).rejects.toThrow(said);
    await expect(serverSecurity(load({ HEADROOM_TOKEN: token }), "registry")).rejects.toThrow(ConfigError);
  });

  it.each([
    ["with what a shell would take for its own", 'p#ss!w$rd,with:all"of\\it;%'],
    ["in base64", "c2VjcmV0OnNlY3JldDpzZWNyZXQ="],
    ["of 4096 characters", "~".repeat(4_096)],
  ])("takes a token %s over gRPC and REST", async (_, token) => {
    const { security } = await serverSecurity(load({ HEADROOM_TOKEN: token }), "registry");
    const server = await startServer({}, { auth: security.auth });
    const capacity = createClient(wire.CapacityServiceService, openChannel(addressOf(server), { token }));
    expect((await capacity.getAgentCapacity({ agentId })).agentId).toBe(agentId);
    const { ask } = await startHttp({}, { auth: security.auth, methods: server.methods });
    const headers = { authorization: `Bearer ${token}` };
    expect((await ask(`/api/v1/agents/${agentId}/capacity`, { headers })).status).toBe(200);
  });

  it("warns once where HEADROOM_TOKEN is another one than that of the file of --token-file, and writes no file beside it", async () => {
    const dir = await makeTempDir("server-settings");
    try {
      const path = join(dir.path, "named");
      const inEnv = "token-of-the-environment";
      const begin = async (env: Readonly<Record<string, string>>) => {
        const logger = captureLogger();
        const flags = { "token-file": path };
        const settings = withTokenOfFlag(loadConfigOrThrow(schema, { env, flags }));
        const { token } = await serverSecurity(settings, "registry", logger);
        return { token, told: logger.records.map(({ level, message }) => `${level}: ${message}`) };
      };
      const refused = begin({ HEADROOM_TOKEN: inEnv });
      await expect(refused).rejects.toThrow(TokenFileError);
      await expect(refused).rejects.toThrow(/named .*--token-file.* does not exist.*HEADROOM_TOKEN/);
      await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });

      const { token } = await begin({});
      expect(await begin({ HEADROOM_TOKEN: token })).toEqual({ token, told: [] });
      const differs = await begin({ HEADROOM_TOKEN: inEnv });
      expect(differs).toMatchObject({
        token,
        told: [expect.stringMatching(/^warn: HEADROOM_TOKEN .*the file's is used/)],
      });
      expect(differs.told.join()).not.toContain(inEnv);
      await writeFile(path, inEnv);
      expect(await begin({ HEADROOM_TOKEN: inEnv })).toEqual({ token: inEnv, told: [] });
    } finally {
      await dir.remove();
    }
  });

  it("a drain takes no longer than a stop has room for", () => {
    expect(load({ HEADROOM_DRAIN_SECONDS: "10" }).drainMs).toBe(10_000);
    expect(() => load({ HEADROOM_DRAIN_SECONDS: "11" })).toThrow("HEADROOM_DRAIN_SECONDS");
  });

  it("certificate and key belong together", async () => {
    await expect(serverSecurity(load({ HEADROOM_TLS_CERT_FILE: "/x/cert.pem" }), "registry")).rejects.toThrow(
      "HEADROOM_TLS_KEY_FILE",
    );
  });

  it("a CA of clients without certificate and key is refused: nobody would be asked for a certificate", async () => {
    const alone = { HEADROOM_TLS_CLIENT_CA_FILE: "/x/ca.pem", HEADROOM_ALLOW_PLAINTEXT: "true" };
    const refused = serverSecurity(load({ ...alone, HEADROOM_TOKEN: "0123456789abcdef" }), "registry");
    await expect(refused).rejects.toThrow(ConfigError);
    await expect(refused).rejects.toThrow(
      /HEADROOM_TLS_CLIENT_CA_FILE.*HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE/,
    );
  });
});
