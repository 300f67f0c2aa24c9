import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Logger, Outage, type Ports, type Timer } from "@headroom/runtime";
import { checkCa, checkPem, type ServerTls, TlsFileError } from "./tls.ts";

/** What the files of a TLS server hold. */
export interface ServerPem {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** null: clients are not asked for certificates. */
  readonly clientCa: Buffer | null;
}

export interface ServerCertificatesOptions {
  readonly tls: ServerTls;
  readonly ports: Pick<Ports, "clock" | "timers">;
  readonly logger: Logger;
}

const lookEveryMs = 60_000;
const dayMs = 86_400_000;
/** Before its end a certificate is told of each day. */
const toldBeforeMs = 14 * dayMs;

/**
 * The certificate of a server, read again while it serves, so that a renewed one reaches new connections without a restart. The content of the files is
 * compared: whoever renews replaces files, links or whole folders, and no watch of the file system tells of all of these.
 */
export class ServerCertificates {
  readonly #options: ServerCertificatesOptions;
  readonly #reading: Outage;
  #pem: ServerPem;
  #onRenewed: (pem: ServerPem) => void = () => undefined;
  #timer: Timer | undefined;
  #toldAtMs: number | null = null;
  #isClosed = false;

  private constructor(options: ServerCertificatesOptions, pem: ServerPem) {
    this.#options = options;
    this.#pem = pem;
    this.#reading = new Outage(options.logger, {
      fails: "the TLS files have changed and cannot be used: new connections are still served with those read before",
      works: "the TLS files can be used again",
    });
  }

  /** Rejects with TlsFileError. */
  static async open(options: ServerCertificatesOptions): Promise<ServerCertificates> {
    return new ServerCertificates(options, await readServerPem(options.tls));
  }

  get pem(): ServerPem {
    return this.#pem;
  }

  /** From now on looks at the files once a minute. */
  watch(onRenewed: (pem: ServerPem) => void): void {
    this.#onRenewed = onRenewed;
    this.#tellEnd();
    this.#lookLater();
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.ports.timers.after(lookEveryMs, () => void this.#look(), { keepAlive: false });
  }

  async #look(): Promise<void> {
    try {
      const pem = await readServerPem(this.#options.tls);
      if (this.#isClosed) return;
      if (!isSame(pem, this.#pem)) this.#renew(pem);
      this.#reading.worked();
    } catch (error) {
      this.#reading.failed(error);
    }
    this.#tellEnd();
    this.#lookLater();
  }

  #renew(pem: ServerPem): void {
    this.#onRenewed(pem);
    this.#pem = pem;
    this.#toldAtMs = null;
    const { tls, logger } = this.#options;
    logger.info({ file: tls.certFile, ends: endOf(pem.cert) }, "the TLS files have changed: new connections get them");
  }

  #tellEnd(): void {
    const { tls, ports, logger } = this.#options;
    const ends = endOf(this.#pem.cert);
    if (ends === null) return;
    const leftMs = Date.parse(ends) - ports.clock.now();
    const nowMs = ports.clock.monotonic();
    if (leftMs > toldBeforeMs || (this.#toldAtMs !== null && nowMs - this.#toldAtMs < dayMs)) return;
    this.#toldAtMs = nowMs;
    const days = Math.ceil(leftMs / dayMs);
    const what = days > 0 ? `ends in ${days} ${days === 1 ? "day" : "days"}` : "has ended: callers refuse it";
    logger.warn({ file: tls.certFile, ends }, `the certificate ${what}; renew it, no restart is needed`);
  }
}

/** When the server's own certificate ends, which comes first in its file; null where that cannot be read. */
function endOf(cert: Buffer): string | null {
  try {
    return new Date(new X509Certificate(cert).validTo).toISOString();
  } catch {
    return null;
  }
}

function isSame(one: ServerPem, other: ServerPem): boolean {
  const hasSameCa =
    one.clientCa === null || other.clientCa === null
      ? one.clientCa === other.clientCa
      : one.clientCa.equals(other.clientCa);
  return hasSameCa && one.cert.equals(other.cert) && one.key.equals(other.key);
}

/** Rejects with TlsFileError for a file that cannot be read, or that is not what it should be. */
async function readServerPem({ certFile, keyFile, clientCaFile }: ServerTls): Promise<ServerPem> {
  const cert = await readPem(certFile, "the certificate (HEADROOM_TLS_CERT_FILE)");
  const key = await readPem(keyFile, "the private key (HEADROOM_TLS_KEY_FILE)");
  checkPem(cert, key, `${certFile} and ${keyFile}`);
  if (clientCaFile === undefined) return { cert, key, clientCa: null };
  const clientCa = await readPem(clientCaFile, "the CA of clients (HEADROOM_TLS_CLIENT_CA_FILE)");
  checkCa(clientCa, `${clientCaFile} (HEADROOM_TLS_CLIENT_CA_FILE)`);
  return { cert, key, clientCa };
}

async function readPem(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TlsFileError(`${what} cannot be read from ${path}: ${why}`, { cause: error });
  }
}
