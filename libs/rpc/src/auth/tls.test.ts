import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { writeCertificates } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createClient, TlsFileError, type ClientTls } from "../index.ts";
import { addressOf, agentId, makeServer, onTestEnd, openChannel, startServer } from "../rpc.test-helper.ts";

function certificates() {
  const folder = mkdtempSync(join(tmpdir(), "headroom-tls-"));
  onTestEnd(() => rmSync(folder, { recursive: true }));
  return { folder, ...writeCertificates(folder) };
}

async function ask(address: { host: string; port: number }, tls: ClientTls | undefined): Promise<string> {
  const channel = openChannel(address, tls === undefined ? {} : { tls });
  const answer = await createClient(wire.CapacityServiceService, channel)
    .getAgentCapacity({ agentId })
    .catch((error: { code: string }) => error.code);
  return typeof answer === "string" ? answer : answer.agentId;
}

describe("TLS", () => {
  it("a server with a certificate is reached by clients that trust its CA, and by no other", async () => {
    const files = certificates();
    const server = await startServer({}, { tls: { certFile: files.serverCertFile, keyFile: files.serverKeyFile } });
    const address = addressOf(server);
    expect(await ask(address, { caFile: files.caFile })).toBe(agentId);
    expect(await ask({ ...address, host: "localhost" }, { caFile: files.caFile })).toBe(agentId);
    expect(await ask(address, {})).toBe("UNAVAILABLE");
    expect(await ask(address, undefined)).toBe("UNAVAILABLE");
  });

  it("mutual TLS refuses a client without a certificate of the CA", async () => {
    const files = certificates();
    const stranger = certificates();
    const tls = { certFile: files.serverCertFile, keyFile: files.serverKeyFile, clientCaFile: files.caFile };
    const address = addressOf(await startServer({}, { tls }));
    const { caFile } = files;
    expect(await ask(address, { caFile, certFile: files.clientCertFile, keyFile: files.clientKeyFile })).toBe(agentId);
    expect(await ask(address, { caFile })).toBe("UNAVAILABLE");
    expect(await ask(address, { caFile, certFile: stranger.clientCertFile, keyFile: stranger.clientKeyFile })).toBe(
      "UNAVAILABLE",
    );
  });

  it("a file that is missing or no PEM is a TlsFileError that names it", async () => {
    const files = certificates();
    const missing = makeServer({}, { tls: { certFile: join(files.folder, "none.crt"), keyFile: files.serverKeyFile } });
    await expect(missing.start()).rejects.toThrow(TlsFileError);
    await expect(missing.start()).rejects.toThrow("HEADROOM_TLS_CERT_FILE");
    const bad = join(files.folder, "bad.crt");
    writeFileSync(bad, "not a certificate");
    await expect(makeServer({}, { tls: { certFile: bad, keyFile: files.serverKeyFile } }).start()).rejects.toThrow(bad);
    expect(() => openChannel("127.0.0.1:1", { tls: { caFile: join(files.folder, "none.crt") } })).toThrow(TlsFileError);
  });
});
