import { createServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { readFileSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { wire } from "@headroom/contracts";
import type { CertificateOptions } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { type ClientTls, createClient, HeadroomError, isTlsFailure, type ServerTls } from "../index.ts";
import { addressOf, agentId, certificates, onTestEnd, openChannel, startServer } from "../rpc.test-helper.ts";

type Address = { readonly host: string; readonly port: number };

async function serve(tls?: ServerTls): Promise<Address> {
  return addressOf(await startServer({}, tls === undefined ? {} : { tls }));
}

async function listen(server: Server): Promise<Address> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestEnd(() => server.close());
  // It listens on a port, and not on a pipe.
  const { port } = server.address() as AddressInfo;
  return { host: "127.0.0.1", port };
}

/** What a call fails with; the address in its words is HERE. */
async function failureAt(address: Address, tls?: ClientTls) {
  const channel = openChannel(address, tls === undefined ? {} : { tls });
  const error: unknown = await createClient(wire.CapacityServiceService, channel)
    .getAgentCapacity({ agentId })
    .catch((reason: unknown) => reason);
  if (!(error instanceof HeadroomError)) throw new Error("the call did not fail");
  const { code, reason, message } = error;
  expect(code).toBe("UNAVAILABLE");
  expect(message).not.toContain("headroom up");
  const here = `${address.host}:${address.port}`;
  return { reason, isTls: isTlsFailure(error), message: message.replaceAll(here, "HERE") };
}

const tlsOf = (files: ReturnType<typeof certificates>): ServerTls => ({
  certFile: files.serverCertFile,
  keyFile: files.serverKeyFile,
});

const nameIt = "; name the CA that signed its certificate with --tls-ca-file or HEADROOM_TLS_CA_FILE";

describe("DESIGN-6: a server whose certificate is not accepted is no server that is away", () => {
  const failureWith = async (options: CertificateOptions, tls: (caFile: string) => ClientTls) => {
    const files = certificates(options);
    const failure = await failureAt(await serve(tlsOf(files)), tls(files.caFile));
    expect(failure).toMatchObject({ reason: "SERVER_CERTIFICATE_REFUSED", isTls: true });
    return failure.message;
  };

  it("another CA has signed it, or none that is known", async () => {
    const { caFile } = certificates();
    const other = await failureWith({}, () => ({ caFile }));
    expect(other).toBe(
      `the certificate of HERE is not signed by the CA in ${caFile} (HEADROOM_TLS_CA_FILE): certificate signature failure${nameIt}`,
    );
    const names = { caFile: "--tls-ca-file" };
    const selfSigned = await failureWith({ selfSigned: true }, () => ({ caFile, names }));
    expect(selfSigned).toMatch(/^the certificate of HERE is not signed by the CA in .* \(--tls-ca-file\): self.signed/);
    const unknown = await failureWith({}, () => ({}));
    expect(unknown).toMatch(
      /^the certificate of HERE is not signed by a CA that this program trusts: unable to verify/,
    );
    for (const message of [selfSigned, unknown]) expect(message.endsWith(nameIt)).toBe(true);
  });

  it("it has expired, or is not valid yet", async () => {
    const expired = { from: "20000101000000Z", until: "20010101000000Z" };
    expect(await failureWith({ serverValidity: expired }, (caFile) => ({ caFile }))).toBe(
      "the certificate of HERE, or of a CA behind it, has expired; renew it there, or set the clock of this machine right",
    );
    const future = { from: "20980101000000Z", until: "20990101000000Z" };
    expect(await failureWith({ serverValidity: future }, (caFile) => ({ caFile }))).toMatch(
      /^the certificate of HERE, .* is not valid yet; set the clock /,
    );
  });

  it("it is for another name", async () => {
    expect(await failureWith({}, (caFile) => ({ caFile, serverName: "desk-7.example" }))).toMatch(
      /^the certificate of HERE is for another name: Host: desk-7\.example\. is not in the cert's altnames: DNS:localhost, .*; give the address by a name that stands in the certificate/,
    );
  });
});

describe("DESIGN-6: TLS on one side only", () => {
  it("a caller in plaintext is told how to name the CA", async () => {
    const files = certificates();
    for (const tls of [tlsOf(files), { ...tlsOf(files), clientCaFile: files.caFile }])
      expect(await failureAt(await serve(tls))).toEqual({
        reason: "SERVER_UNREACHABLE",
        isTls: false,
        message: `what answers at HERE ends each connection without a word, perhaps it speaks TLS${nameIt}, or see whether the service runs`,
      });
  });

  it("so it is where the other side answers in something else", async () => {
    expect((await failureAt(await listen(createServer()))).message).toBe(
      `what answers at HERE is no gRPC server, perhaps it is the port of REST; give the address of gRPC, or, where it speaks TLS, ${nameIt.slice(2)}`,
    );
  });

  it("a caller over TLS is told that the other side speaks none", async () => {
    const { caFile } = certificates();
    for (const address of [await serve(), await listen(createServer())])
      expect(await failureAt(address, { caFile, names: { caFile: "--tls-ca-file" } })).toEqual({
        reason: "TLS_NOT_SPOKEN",
        isTls: true,
        message:
          "what answers at HERE does not speak TLS; leave --tls-ca-file out, or give the service a certificate and its key (HEADROOM_TLS_CERT_FILE, HEADROOM_TLS_KEY_FILE)",
      });
  });

  it("REST over TLS is no gRPC", async () => {
    const { caFile, serverCertFile, serverKeyFile } = certificates();
    const rest = createHttpsServer({ cert: readFileSync(serverCertFile), key: readFileSync(serverKeyFile) });
    expect((await failureAt(await listen(rest), { caFile })).message).toMatch(
      /^(no TLS connection to HERE can be agreed on: .*; see whether it is the gRPC port|what answers at HERE is no gRPC server, perhaps it is the port of REST; give the address of gRPC$)/,
    );
  });
});

describe("DESIGN-6: a server that asks for a certificate of its callers", () => {
  it("says how to show one, in the caller's own names, and which one it does not take", async () => {
    const files = certificates();
    const { caFile } = files;
    const names = { certFile: "--tls-cert-file", keyFile: "--tls-key-file" };
    const address = await serve({ ...tlsOf(files), clientCaFile: caFile });
    expect(await failureAt(address, { caFile, names })).toMatchObject({
      reason: "CLIENT_CERTIFICATE_REFUSED",
      isTls: true,
      message: expect.stringMatching(
        /^HERE asks its callers for a certificate \(mutual TLS\): .*certificate required; name one and its key with --tls-cert-file and --tls-key-file$/,
      ),
    });
    const { clientCertFile, clientKeyFile } = certificates();
    const strange = await failureAt(address, { caFile, certFile: clientCertFile, keyFile: clientKeyFile, names });
    expect(strange.message).toMatch(
      /^what answers at HERE ends each connection over TLS without a word; .* asks for a certificate of another CA/,
    );
  });
});
