import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Certificates for tests, made afresh: Node can sign, and the few structures of X.509 that are needed are spelled out here in DER. */
const tlv = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const length =
    body.length < 128 ? Buffer.from([body.length]) : Buffer.from([0x82, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
};
const sequence = (...parts: Buffer[]): Buffer => tlv(0x30, ...parts);
const set = (...parts: Buffer[]): Buffer => tlv(0x31, ...parts);
const integer = (value: number): Buffer => tlv(0x02, Buffer.from([value]));
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, "hex"));
const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text));
const octets = (body: Buffer): Buffer => tlv(0x04, body);
const bits = (body: Buffer): Buffer => tlv(0x03, Buffer.from([0]), body);
const time = (text: string): Buffer => tlv(0x18, Buffer.from(text));

const commonName = "550403";
const subjectAltName = "551d11";
const basicConstraints = "551d13";
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));

interface Identity {
  readonly name: string;
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
}

function identity(name: string): Identity {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { name, key: privateKey, publicKey };
}

const distinguishedName = (name: string): Buffer => sequence(set(sequence(oid(commonName), utf8(name))));

/** GeneralizedTime, in UTC. */
interface Validity {
  readonly from: string;
  readonly until: string;
}

const alwaysValid: Validity = { from: "20000101000000Z", until: "20991231235959Z" };

function certificate(subject: Identity, issuer: Identity, serial: number, { from, until } = alwaysValid): string {
  const names = sequence(tlv(0x82, Buffer.from("localhost")), tlv(0x87, Buffer.from([127, 0, 0, 1])));
  const isCa = subject === issuer ? sequence(tlv(0x01, Buffer.from([0xff]))) : sequence();
  const body = sequence(
    tlv(0xa0, integer(2)),
    integer(serial),
    ecdsaWithSha256,
    distinguishedName(issuer.name),
    sequence(time(from), time(until)),
    distinguishedName(subject.name),
    subject.publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(sequence(oid(basicConstraints), octets(isCa)), sequence(oid(subjectAltName), octets(names)))),
  );
  const der = sequence(body, ecdsaWithSha256, bits(sign("sha256", body, issuer.key)));
  return `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

export interface CertificateOptions {
  /** Of the server's certificate. */
  readonly serverValidity?: Validity;
  /** The server's certificate is signed by nobody but itself. */
  readonly selfSigned?: boolean;
}

/** Writes a CA, and a server's and a client's certificate with their keys, into a folder; answers the paths. */
export function writeCertificates(folder: string, { serverValidity, selfSigned = false }: CertificateOptions = {}) {
  const [ca, server, client] = [identity("test CA"), identity("test server"), identity("test client")];
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const keyOf = (each: Identity): string => each.key.export({ type: "pkcs8", format: "pem" }).toString();
  return {
    caFile: write("ca.crt", certificate(ca, ca, 1)),
    serverCertFile: write("server.crt", certificate(server, selfSigned ? server : ca, 2, serverValidity)),
    serverKeyFile: write("server.key", keyOf(server)),
    clientCertFile: write("client.crt", certificate(client, ca, 3)),
    clientKeyFile: write("client.key", keyOf(client)),
  };
}
