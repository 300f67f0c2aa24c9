import { once } from "node:events";
import { connect } from "node:tls";
import { wire } from "@headroom/contracts";
import { manualPorts, waitFor, writeCertificates } from "@headroom/testing";
import { systemPorts } from "@headroom/runtime";
import { afterAll, expect, it, vi } from "vitest";
import { createClient } from "../index.ts";
import { addressOf, agentId, certificates, openChannel, startServer } from "../rpc.test-helper.ts";

const allowed = "ECDHE-ECDSA-AES256-GCM-SHA384";
const other = "ECDHE-ECDSA-AES128-GCM-SHA256";

// gRPC reads it once, when it is loaded.
vi.hoisted(() => void (process.env["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-ECDSA-AES256-GCM-SHA384"));
afterAll(() => void delete process.env["GRPC_SSL_CIPHER_SUITES"]);

/** The cipher that they agree on, or the error that ends it. */
async function agreedCipher({ host, port }: { host: string; port: number }, ciphers: string): Promise<string> {
  const socket = connect({
    host,
    port,
    ciphers,
    maxVersion: "TLSv1.2",
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
  });
  try {
    await once(socket, "secureConnect");
    return socket.getCipher().name;
  } catch (error) {
    return String(Reflect.get(error as object, "code"));
  } finally {
    socket.destroy();
  }
}

it("a restricted list of ciphers outlives the renewal of the certificate", async () => {
  const files = certificates();
  const manual = manualPorts();
  const tls = { certFile: files.serverCertFile, keyFile: files.serverKeyFile };
  const address = addressOf(await startServer({}, { tls, ports: { ...systemPorts, timers: manual.timers } }));
  const refused = await agreedCipher(address, other);
  expect(refused).toMatch(/HANDSHAKE_FAILURE|ECONNRESET/);
  expect(await agreedCipher(address, allowed)).toBe(allowed);

  writeCertificates(files.folder);
  await manual.advance(60_000);
  await waitFor(() => manual.timers.pendingDelays().includes(60_000));
  // The new CA is that of the new certificate alone.
  const client = createClient(wire.CapacityServiceService, openChannel(address, { tls: { caFile: files.caFile } }));
  expect((await client.getAgentCapacity({ agentId })).agentId).toBe(agentId);
  expect(await agreedCipher(address, other)).toBe(refused);
  expect(await agreedCipher(address, allowed)).toBe(allowed);
});
