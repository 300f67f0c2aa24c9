import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import type { ServerTls } from "@headroom/rpc";
import { writeCertificates } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import { type Handlers, runTestCli, startTestServices } from "./cli.test-helper.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function certificates() {
  const folder = mkdtempSync(join(tmpdir(), "headroom-cli-tls-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  return { folder, ...writeCertificates(folder) };
}

const handlers: Handlers = {
  fleet: {
    listAgents: () => Promise.resolve(wire.ListAgentsResponse.create()),
    createJoinToken: () => Promise.resolve(wire.CreateJoinTokenResponse.create({ tokenId: "id", joinToken: "hrj1.x" })),
  },
};

async function serve(tls: ServerTls) {
  const services = await startTestServices(handlers, tls);
  cleanups.push(() => services.stop());
  return (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    runTestCli([...services.flags, ...args], { env });
}

const list = ["-o", "json", "agents", "list"];

describe("TLS of the command line", () => {
  it("reaches services by their CA, given as an option or in the environment, and not without", async () => {
    const { caFile, serverCertFile: certFile, serverKeyFile: keyFile } = certificates();
    const run = await serve({ certFile, keyFile });
    expect(await run(["--tls-ca-file", caFile, ...list])).toMatchObject({ code: 0, stderr: "" });
    expect(await run(list, { HEADROOM_TLS_CA_FILE: caFile })).toMatchObject({ code: 0, stderr: "" });
    const wrongCa = certificates().caFile;
    expect((await run([...list, "--tls-ca-file", caFile], { HEADROOM_TLS_CA_FILE: wrongCa })).code).toBe(0);
    const forgotten = await run(list);
    expect(forgotten.code).toBe(1);
    expect(forgotten.stderr).toMatch(/perhaps it speaks TLS; .* with --tls-ca-file or HEADROOM_TLS_CA_FILE/);
    const refused = await run(list, { HEADROOM_TLS_CA_FILE: wrongCa });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`is not signed by the CA in ${wrongCa} (HEADROOM_TLS_CA_FILE)`);
    expect(refused.stderr).toContain("(SERVER_CERTIFICATE_REFUSED)");
  });

  it("shows a certificate to services that ask for one", async () => {
    const files = certificates();
    const { caFile, clientCertFile, clientKeyFile } = files;
    const run = await serve({ certFile: files.serverCertFile, keyFile: files.serverKeyFile, clientCaFile: caFile });
    const shown = ["--tls-cert-file", clientCertFile, "--tls-key-file", clientKeyFile];
    expect(await run(["--tls-ca-file", caFile, ...shown, ...list])).toMatchObject({ code: 0, stderr: "" });
    const env = {
      HEADROOM_TLS_CA_FILE: caFile,
      HEADROOM_TLS_CLIENT_CERT_FILE: clientCertFile,
      HEADROOM_TLS_CLIENT_KEY_FILE: clientKeyFile,
    };
    expect(await run(list, env)).toMatchObject({ code: 0, stderr: "" });
    const without = await run(["--tls-ca-file", caFile, ...list]);
    expect(without.code).toBe(1);
    expect(without.stderr).toContain("with HEADROOM_TLS_CLIENT_CERT_FILE and HEADROOM_TLS_CLIENT_KEY_FILE");
    const { clientCertFile: strange, clientKeyFile: strangeKey } = certificates();
    expect((await run(["--tls-cert-file", strange, "--tls-key-file", strangeKey, ...list], env)).code).toBe(1);
  });

  it.each<[string, readonly string[], Readonly<Record<string, string>>]>([
    [
      "--tls-cert-file is set without --tls-key-file (HEADROOM_TLS_CLIENT_KEY_FILE)",
      ["--tls-ca-file", "/ca", "--tls-cert-file", "/x"],
      {},
    ],
    ["--tls-key-file is set without --tls-cert-file (HEADROOM_TLS_CLIENT_CERT_FILE)", ["--tls-key-file", "/x"], {}],
    [
      "HEADROOM_TLS_CLIENT_CERT_FILE is set without --tls-key-file (HEADROOM_TLS_CLIENT_KEY_FILE)",
      [],
      { HEADROOM_TLS_CLIENT_CERT_FILE: "/x" },
    ],
    [
      "--tls-cert-file is set without --tls-ca-file (HEADROOM_TLS_CA_FILE)",
      ["--tls-cert-file", "/x", "--tls-key-file", "/y"],
      {},
    ],
  ])("%s: refused before anybody is asked", async (message, args, env) => {
    const { code, stderr } = await runTestCli([...args, "queue"], { env });
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });

  it("a file that cannot be read, or is none, is named with its option or variable", async () => {
    const { folder, caFile, clientCertFile, clientKeyFile } = certificates();
    const none = join(folder, "none.pem");
    const junk = join(folder, "junk.pem");
    writeFileSync(junk, "not PEM");
    const failure = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
      const { code, stderr } = await runTestCli([...args, "queue"], { env });
      expect(code).toBe(1);
      return stderr;
    };
    expect(await failure(["--tls-ca-file", none])).toContain(`the CA (--tls-ca-file) cannot be read from ${none}`);
    expect(await failure([], { HEADROOM_TLS_CA_FILE: none })).toContain(
      `the CA (HEADROOM_TLS_CA_FILE) cannot be read from ${none}`,
    );
    expect(await failure(["--tls-ca-file", junk])).toContain(`${junk} (--tls-ca-file) holds no certificate in PEM`);
    const withKey = { HEADROOM_TLS_CA_FILE: caFile, HEADROOM_TLS_CLIENT_KEY_FILE: none };
    expect(await failure(["--tls-cert-file", clientCertFile], withKey)).toContain(
      `private key (HEADROOM_TLS_CLIENT_KEY_FILE) cannot be read from ${none}`,
    );
    const swapped = ["--tls-ca-file", caFile, "--tls-cert-file", clientKeyFile, "--tls-key-file", clientCertFile];
    expect(await failure(swapped)).toMatch(/\(--tls-cert-file\) and .* \(--tls-key-file\) are not a certificate and/);
  });

  it("what to type on a machine that joins names the CA", async () => {
    const { caFile, serverCertFile: certFile, serverKeyFile: keyFile } = certificates();
    const run = await serve({ certFile, keyFile });
    const { stderr } = await run(["agents", "token", "create", "--pool", "gpu"], { HEADROOM_TLS_CA_FILE: caFile });
    expect(stderr).toContain(`--registry HOST:7401 --tls-ca-file ${caFile} --pool gpu\n`);
  });
});

describe("the --tls options and commands that run services", () => {
  it("an agent takes them as its own settings", async () => {
    const { code, stderr } = await runTestCli(["agent", "--tls-cert-file", "/x"]);
    expect(stderr).toContain("HEADROOM_AGENT_TLS_CERT_FILE (--tls-cert-file) and HEADROOM_AGENT_TLS_KEY_FILE");
    expect(code).toBe(1);
  });

  it.each(["registry", "orchestrator"])("the %s takes its certificate", async (service) => {
    const { code, stderr } = await runTestCli([service, "--tls-cert-file", ""]);
    expect(stderr).toContain('HEADROOM_TLS_CERT_FILE (--tls-cert-file): "" is empty');
    expect(code).toBe(1);
  });

  it.each([
    ["up", "--tls-cert-file"],
    ["registry", "--tls-ca-file"],
  ])("%s refuses %s, which it would ignore", async (command, option) => {
    const { code, stderr } = await runTestCli([command, option, "/x"]);
    expect(stderr).toMatch(new RegExp(`headroom ${command} does not take ${option}.*\n.*HEADROOM_TLS_CERT_FILE`));
    expect(code).toBe(1);
  });
});
