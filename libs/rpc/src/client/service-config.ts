import { methodContracts } from "@headroom/contracts";
import { anyAddressPolicy } from "./any-address.ts";

// Four tries within about a second: enough for a server that restarts its connection, little enough not to hide one that is gone.
const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: "0.1s",
  maxBackoff: "2s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

let shared: string | undefined;

/**
 * The gRPC service config, made from the contract: what the .proto calls NO_SIDE_EFFECTS or IDEMPOTENT is tried again when the server is
 * UNAVAILABLE, and nothing else is (AIP-194).
 */
export function serviceConfig(): string {
  shared ??= JSON.stringify({
    loadBalancingConfig: [{ [anyAddressPolicy]: {} }],
    methodConfig: [...methodContracts().values()]
      .filter((method) => method.idempotency !== "unknown" && method.streaming !== "duplex")
      .map((method) => ({ name: [{ service: method.service, method: method.name }], retryPolicy })),
  });
  return shared;
}
