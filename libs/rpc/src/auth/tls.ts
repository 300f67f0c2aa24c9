import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { ChannelCredentials } from "@grpc/grpc-js";

/** Files of a TLS server, PEM. With a CA every client must show a certificate that it signed (mutual TLS). */
export interface ServerTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string;
}

/** Files of a TLS client, PEM. Certificate and key only for mutual TLS. */
export interface ClientTls {
  /** Absent: the CAs that Node trusts. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Name to expect in the server's certificate in place of the address's host. */
  readonly serverName?: string;
  /** What the person set to name each file, a variable or an option, for errors. Left out: the variable of a service of ours. */
  readonly names?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
}

const namesOfServices = {
  caFile: "HEADROOM_TLS_CA_FILE",
  certFile: "HEADROOM_TLS_CERT_FILE",
  keyFile: "HEADROOM_TLS_KEY_FILE",
} as const;

/** What the person set to name each file. */
export function namesOf(tls: ClientTls): Required<NonNullable<ClientTls["names"]>> {
  return { ...namesOfServices, ...tls.names };
}

/** A certificate or key file that cannot be read, or is none. */
export class TlsFileError extends Error {
  override readonly name = "TlsFileError";
}

/** Throws TlsFileError. Absent: plaintext. */
export function channelCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  const names = namesOf(tls);
  const read = (path: string | undefined, what: string): Buffer | null =>
    path === undefined ? null : readPem(path, what);
  const ca = read(tls.caFile, `the CA (${names.caFile})`);
  const key = read(tls.keyFile, `the client's private key (${names.keyFile})`);
  const cert = read(tls.certFile, `the client's certificate (${names.certFile})`);
  if (ca !== null) checkCa(ca, `${tls.caFile} (${names.caFile})`);
  if ((cert === null) !== (key === null)) {
    throw new TlsFileError(`${names.certFile} and ${names.keyFile} belong together: set both, or neither`);
  }
  if (cert !== null && key !== null) {
    checkPem(cert, key, `${tls.certFile} (${names.certFile}) and ${tls.keyFile} (${names.keyFile})`);
  }
  try {
    return ChannelCredentials.createSsl(ca, key, cert);
  } catch (error) {
    throw new TlsFileError(`the TLS files are not what they should be (PEM): ${describe(error)}`, { cause: error });
  }
}

function readPem(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new TlsFileError(`${what} cannot be read from ${path}: ${describe(error)}`, { cause: error });
  }
}

/** Node takes a file without a certificate for a CA that signed nothing, and every connection would fail. Throws TlsFileError. */
export function checkCa(ca: Buffer, file: string): void {
  try {
    void new X509Certificate(ca);
  } catch (error) {
    throw new TlsFileError(`${file} holds no certificate in PEM: ${describe(error)}`, { cause: error });
  }
}

/** grpc-js would find out at the first connection only. Throws TlsFileError. */
export function checkPem(cert: Buffer, key: Buffer, files: string): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new TlsFileError(`${files} are not a certificate and its private key in PEM: ${describe(error)}`, {
      cause: error,
    });
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
