/**
 * Why no connection could be made, where TLS is the reason, with the way out. A certificate that is refused looks to a caller as if nothing were
 * there, and nothing that is started helps.
 */
import { type ClientTls, namesOf } from "../auth/tls.ts";
import type { HeadroomError } from "../errors.ts";

export interface TlsFailure {
  readonly reason: "SERVER_CERTIFICATE_REFUSED" | "CLIENT_CERTIFICATE_REFUSED" | "TLS_NOT_SPOKEN" | "TLS_FAILED";
  readonly message: string;
}

const reasons: ReadonlySet<string> = new Set<TlsFailure["reason"]>([
  "SERVER_CERTIFICATE_REFUSED",
  "CLIENT_CERTIFICATE_REFUSED",
  "TLS_NOT_SPOKEN",
  "TLS_FAILED",
]);

/** Nothing but a person's work on certificates and settings ends it. */
export function isTlsFailure({ reason }: HeadroomError): boolean {
  return reasons.has(reason);
}

/** How a caller in plaintext begins with TLS. */
export const nameTheCa = "name the CA that signed its certificate with --tls-ca-file or HEADROOM_TLS_CA_FILE";

/**
 * Of an error grpc-js keeps nothing but the words, which are OpenSSL's and others in each of its versions. So the code goes along, as Node writes it
 * for errors of its own: `Error [CERT_HAS_EXPIRED]: certificate has expired`.
 */
export function tellCode(error: unknown): never {
  if (error instanceof Error) {
    const code: unknown = Reflect.get(error, "code");
    if (typeof code === "string" && !String(error).includes(`[${code}]`)) error.name = `Error [${code}]`;
  }
  throw error;
}

/** `cause` as grpc-js tells it; null: it is nothing of TLS. */
export function tlsFailure(cause: string, address: string, tls: ClientTls): TlsFailure | null {
  // The other side has ended it, during the handshake or, with TLS 1.3, after it: no code then, only the alert that it sent.
  const alert = /\bSSL alert number (\d+)/.exec(cause)?.[1];
  if (alert !== undefined) return alertMeaning(Number(alert), wordsOf(cause), address, tls);
  const [, code = "", words = ""] = /^Error \[(\w+)\]: (.*)$/s.exec(cause) ?? [];
  // An errno, such as ECONNRESET: the connection's, and none of TLS.
  if (code === "" || /^E[A-Z0-9]+$/.test(code)) return null;
  if (code.startsWith("ERR_SSL_")) return handshakeMeaning(code, wordsOf(words), address, tls);
  const message = (untrusted.has(code) ? untrustedCertificate : (certificateMeanings[code] ?? unfitCertificate))(
    address,
    words,
    tls,
  );
  return { reason: "SERVER_CERTIFICATE_REFUSED", message };
}

/** Nobody whom we know has signed it. */
const untrusted: ReadonlySet<string> = new Set([
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

type Sentence = (address: string, words: string, tls: ClientTls) => string;

const untrustedCertificate: Sentence = (address, words, tls) => {
  const known =
    tls.caFile === undefined
      ? "by a CA that this program trusts"
      : `by the CA in ${tls.caFile} (${namesOf(tls).caFile})`;
  // Later versions of Node add advice, which is not about our settings.
  return `the certificate of ${address} is not signed ${known}: ${words.split("; ", 1)[0] ?? ""}; ${nameTheCa}`;
};

const unfitCertificate: Sentence = (address, words) =>
  `the certificate of ${address} cannot be accepted: ${words}; give the service one that is made for a server`;

const certificateMeanings: Readonly<Record<string, Sentence>> = {
  CERT_HAS_EXPIRED: (address) =>
    `the certificate of ${address}, or of a CA behind it, has expired; renew it there, or set the clock of this machine right`,
  CERT_NOT_YET_VALID: (address) =>
    `the certificate of ${address}, or of a CA behind it, is not valid yet; set the clock of this machine right, or of the one that issued it`,
  ERR_TLS_CERT_ALTNAME_INVALID: (address, words) =>
    `the certificate of ${address} is for another name: ${words.replace(/^.*? altnames: /, "")}; give the address by a name that stands in the certificate, or issue one for this name`,
};

/** By RFC 8446, 6.2: bad, unsupported, revoked, expired, unknown certificate, unknown CA, access denied. */
const aboutOurCertificate: ReadonlySet<number> = new Set([42, 43, 44, 45, 46, 48, 49]);
const handshakeFailure = 40;
const certificateRequired = 116;

function alertMeaning(alert: number, words: string, address: string, tls: ClientTls): TlsFailure {
  const { certFile, keyFile } = namesOf(tls);
  const hasNone = tls.certFile === undefined;
  // Before TLS 1.3 whoever misses a certificate says no more than that the handshake failed.
  if (alert === certificateRequired || (alert === handshakeFailure && hasNone))
    return {
      reason: "CLIENT_CERTIFICATE_REFUSED",
      message: `${address} asks its callers for a certificate (mutual TLS): ${words}; name one and its key with ${certFile} and ${keyFile}`,
    };
  if (aboutOurCertificate.has(alert) && !hasNone)
    return {
      reason: "CLIENT_CERTIFICATE_REFUSED",
      message: `${address} refuses the certificate in ${tls.certFile} (${certFile}): ${words}; name one that the CA of its HEADROOM_TLS_CLIENT_CA_FILE has signed`,
    };
  return tlsFailed(words, address);
}

/** What the first bytes of something else look like to TLS. */
const notTls: ReadonlySet<string> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_HTTP_REQUEST",
]);

function handshakeMeaning(code: string, words: string, address: string, tls: ClientTls): TlsFailure {
  if (!notTls.has(code)) return tlsFailed(words, address);
  return {
    reason: "TLS_NOT_SPOKEN",
    message: `what answers at ${address} does not speak TLS; leave ${namesOf(tls).caFile} out, or give the service a certificate and its key (HEADROOM_TLS_CERT_FILE, HEADROOM_TLS_KEY_FILE)`,
  };
}

function tlsFailed(words: string, address: string): TlsFailure {
  return {
    reason: "TLS_FAILED",
    message: `no TLS connection to ${address} can be agreed on: ${words}; see whether it is the gRPC port of a service, and what its certificate is`,
  };
}

/** Of `…:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:…` what is meant for people. */
function wordsOf(text: string): string {
  return /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(text)?.[1] ?? text.trim();
}
