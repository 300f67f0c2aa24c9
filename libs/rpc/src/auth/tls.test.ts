import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { createClient, TlsFileError, type ClientTls } from "../index.ts";
import { addressOf, agentId, certificates, makeServer, openChannel, startServer } from "../rpc.test-helper.ts";

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

  it("an error of a client names the file as the caller does, else by the variable of a service", () => {
    const { folder, caFile, clientCertFile: certFile, clientKeyFile: keyFile } = certificates();
    const none = join(folder, "none.pem");
    const junk = join(folder, "junk.pem");
    writeFileSync(junk, "not PEM");
    const names = { caFile: "--ca", certFile: "AGENT_CERT", keyFile: "AGENT_KEY" };
    const opening = (tls: ClientTls) => () => openChannel("127.0.0.1:1", { tls });
    expect(opening({ caFile: none })).toThrow(`the CA (HEADROOM_TLS_CA_FILE) cannot be read from ${none}`);
    expect(opening({ caFile: none, names })).toThrow(`the CA (--ca) cannot be read from ${none}`);
    expect(opening({ caFile: junk, names })).toThrow(`${junk} (--ca) holds no certificate in PEM`);
    expect(opening({ caFile, certFile: none, keyFile, names })).toThrow(/certificate \(AGENT_CERT\) cannot be read/);
    expect(opening({ caFile, certFile, keyFile: none, names })).toThrow(/private key \(AGENT_KEY\) cannot be read/);
    expect(opening({ caFile, certFile, names })).toThrow("AGENT_CERT and AGENT_KEY belong together");
    expect(opening({ caFile, certFile, keyFile: junk, names })).toThrow(
      `${certFile} (AGENT_CERT) and ${junk} (AGENT_KEY) are not a certificate and its private key in PEM`,
    );
  });
});
