import type { SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import type { ServerPem } from "../auth/server-certificates.ts";

/** Those of `createSsl`, whose certificate can be replaced: connections that are made after it get the new one. */
export class RenewableCredentials extends ServerCredentials {
  constructor(pem: ServerPem) {
    const made = createSsl(pem);
    super(made._getConstructorOptions(), made._getSecureContextOptions() ?? {});
  }

  renew(pem: ServerPem): void {
    this.updateSecureContextOptions(wholeContext(createSsl(pem)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** gRPC keeps the ciphers (GRPC_SSL_CIPHER_SUITES) apart from the certificate, and a server that is given a context forgets what is not in it. */
function wholeContext(made: ServerCredentials): SecureContextOptions {
  return { ...made._getConstructorOptions(), ...made._getSecureContextOptions() };
}

function createSsl({ cert, key, clientCa }: ServerPem): ServerCredentials {
  return ServerCredentials.createSsl(clientCa, [{ cert_chain: cert, private_key: key }], clientCa !== null);
}
