import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { wire } from "@headroom/contracts";
import { type HostPort, silentLogger, systemPorts } from "@headroom/runtime";
import { captureLogger, type ManualPorts, manualPorts, waitFor, writeCertificates } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { makeHttpServer } from "../http/http.test-helper.ts";
import { createClient } from "../index.ts";
import { addressOf, agentId, certificates, onTestEnd, openChannel, startServer } from "../rpc.test-helper.ts";
import { ServerCertificates } from "./server-certificates.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

const fingerprintOf = (file: string): string => new X509Certificate(readFileSync(file)).fingerprint256;

/** Of the certificate that a new connection is shown. */
async function shownAt({ host, port }: HostPort): Promise<string> {
  const ALPNProtocols = ["h2", "http/1.1"];
  const socket = connect({ host, port, servername: "localhost", ALPNProtocols, rejectUnauthorized: false });
  // It shows none of its own, and is ended for that after the handshake.
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

/** Lets time pass until the files have been looked at once more. */
async function lookAgain(ports: ManualPorts, looking: number): Promise<void> {
  await ports.advance(minuteMs);
  await waitFor(() => ports.timers.pendingDelays().filter((ms) => ms === minuteMs).length === looking);
}

describe("the certificate of a server", () => {
  it("is renewed for new connections when its files are, over gRPC and REST; those that are open go on", async () => {
    const files = certificates();
    const manual = manualPorts();
    const ports = { ...systemPorts, timers: manual.timers };
    const tls = { certFile: files.serverCertFile, keyFile: files.serverKeyFile, clientCaFile: files.caFile };
    const grpc = addressOf(await startServer({}, { tls, ports }));
    const http = makeHttpServer({}, { tls, ports });
    await http.start();
    onTestEnd(() => http.stop());
    const rest = { host: "127.0.0.1", port: http.address?.port ?? 0 };
    const own = { caFile: files.caFile, certFile: files.clientCertFile, keyFile: files.clientKeyFile };
    const capacity = createClient(wire.CapacityServiceService, openChannel(grpc, { tls: own }));
    expect((await capacity.getAgentCapacity({ agentId })).agentId).toBe(agentId);
    const before = fingerprintOf(files.serverCertFile);
    expect([await shownAt(grpc), await shownAt(rest)]).toEqual([before, before]);

    writeCertificates(files.folder);
    const after = fingerprintOf(files.serverCertFile);
    expect(after).not.toBe(before);
    await lookAgain(manual, 2);
    expect([await shownAt(grpc), await shownAt(rest)]).toEqual([after, after]);
    expect((await capacity.getAgentCapacity({ agentId })).agentId).toBe(agentId);
    // The CA of clients is a new one as well.
    const renewed = createClient(wire.CapacityServiceService, openChannel(grpc, { tls: own }));
    expect((await renewed.getAgentCapacity({ agentId })).agentId).toBe(agentId);
  });

  it("stays as it was while its files are half written, which is told once", async () => {
    const files = certificates();
    const [ports, logger] = [manualPorts(), captureLogger()];
    const tls = { certFile: files.serverCertFile, keyFile: files.serverKeyFile, clientCaFile: files.caFile };
    const served = await ServerCertificates.open({ tls, ports, logger });
    onTestEnd(() => served.close());
    const renewals: string[] = [];
    served.watch(({ cert }) => void renewals.push(new X509Certificate(cert).fingerprint256));
    const key = readFileSync(files.serverKeyFile);
    const ca = readFileSync(files.caFile);
    writeCertificates(files.folder);
    const newKey = readFileSync(files.serverKeyFile);
    writeFileSync(files.serverKeyFile, key);
    await lookAgain(ports, 1);
    writeFileSync(files.serverKeyFile, newKey);
    writeFileSync(files.caFile, "");
    await lookAgain(ports, 1);
    expect(renewals).toEqual([]);
    expect(logger.records.filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(logger.has("cannot be used", "warn")).toBe(true);
    writeFileSync(files.caFile, ca);
    await lookAgain(ports, 1);
    expect(renewals).toEqual([fingerprintOf(files.serverCertFile)]);
    expect(logger.has("the TLS files can be used again", "info")).toBe(true);
    await lookAgain(ports, 1);
    expect(renewals).toHaveLength(1);
    served.close();
    expect(ports.timers.pendingDelays()).toEqual([]);
  });

  it("is told of each day from two weeks before its end on", async () => {
    const files = certificates();
    const ends = Date.parse(new X509Certificate(readFileSync(files.serverCertFile)).validTo);
    const told = async (leftMs: number, days: number): Promise<readonly string[]> => {
      const [ports, logger] = [manualPorts({ startMs: ends - leftMs }), captureLogger()];
      const tls = { certFile: files.serverCertFile, keyFile: files.serverKeyFile };
      const served = await ServerCertificates.open({ tls, ports, logger });
      onTestEnd(() => served.close());
      served.watch(() => undefined);
      for (let day = 0; day < days; day += 1) {
        ports.clock.pass(dayMs);
        await lookAgain(ports, 1);
      }
      return logger.records.map(({ message }) => message);
    };
    expect(await told(15 * dayMs, 0)).toEqual([]);
    expect(await told(15 * dayMs, 1)).toEqual([expect.stringContaining("the certificate ends in 14 days")]);
    expect(await told(2 * dayMs, 3)).toEqual([
      expect.stringContaining("ends in 2 days"),
      expect.stringContaining("ends in 1 day;"),
      expect.stringContaining("has ended"),
      expect.stringContaining("has ended"),
    ]);
  });

  it("is no reason to start when the CA of clients is none", async () => {
    const { serverCertFile: certFile, serverKeyFile: keyFile, folder } = certificates();
    const clientCaFile = `${folder}/empty.crt`;
    writeFileSync(clientCaFile, "");
    const opened = ServerCertificates.open({
      tls: { certFile, keyFile, clientCaFile },
      ports: systemPorts,
      logger: silentLogger,
    });
    await expect(opened).rejects.toThrow(`${clientCaFile} (HEADROOM_TLS_CLIENT_CA_FILE) holds no certificate in PEM`);
  });
});
