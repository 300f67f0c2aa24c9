import { ServerCredentials } from "@grpc/grpc-js";
import type { ServerPem } from "../auth/server-certificates.ts";

/** Those of `createSsl`, whose certificate can be replaced: connections that are made after it get the new one. */
export class RenewableCredentials extends ServerCredentials {
  constructor(pem: ServerPem) {
    const made = createSsl(pem);
    super(made._getConstructorOptions(), made._getSecureContextOptions() ?? {});
  }

  renew(pem: ServerPem): void {
    this.updateSecureContextOptions(createSsl(pem)._getSecureContextOptions());
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function createSsl({ cert, key, clientCa }: ServerPem): ServerCredentials {
  return ServerCredentials.createSsl(clientCa, [{ cert_chain: cert, private_key: key }], clientCa !== null);
}
