import { ConfigError, defineConfig, loadConfigOrThrow } from "@headroom/runtime";
import { makeTempDir } from "@headroom/testing";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { serverPaths, serverSecurity, serverSettings } from "./server-settings.ts";

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
    ["correct horse battery staple", "HEADROOM_TOKEN is no token that callers can show (16 to 512 letters, digits"],
    ["naïve-passwörd-long-enough", "openssl rand -hex 32"],
    ["x".repeat(513), "16 to 512"],
    ["hrc1.aaaaaaaaaaaaaaaaaaaa", "begins with hrc1., as an agent's credential does"],
  ])("refuses the token %s, which every call would fail with", async (token, said) => {
    await expect(serverSecurity(load({ HEADROOM_TOKEN: token }), "registry")).rejects.toThrow(said);
    await expect(serverSecurity(load({ HEADROOM_TOKEN: token }), "registry")).rejects.toThrow(ConfigError);
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
