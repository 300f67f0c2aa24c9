/**
 * The order in which the addresses of a name are tried. What the draw leaves as the resolver said it is which family comes first (RFC 6724): it knows
 * whether this machine reaches anything over IPv6. The address that was left comes last, as far as `pick_first` lets it, which takes families by turns.
 */
import { experimental } from "@grpc/grpc-js";
import type { Random } from "@headroom/runtime";
import { isIPv6 } from "node:net";

export function drawAddresses(
  endpoints: readonly experimental.Endpoint[],
  random: Pick<Random, "next">,
  left: string | null,
): experimental.Endpoint[] {
  const [preferred] = endpoints;
  const isPreferred = (endpoint: experimental.Endpoint): boolean =>
    preferred !== undefined && isOfIPv6(endpoint) === isOfIPv6(preferred);
  const drawn = endpoints.map((endpoint) => {
    // A lot is below 1.
    const rank = (isAt(endpoint, left) ? 2 : 0) + (isPreferred(endpoint) ? 0 : 1);
    return { endpoint, lot: rank + random.next() };
  });
  return drawn.toSorted((a, b) => a.lot - b.lot).map(({ endpoint }) => endpoint);
}

function isOfIPv6({ addresses }: experimental.Endpoint): boolean {
  return addresses.some((one) => "host" in one && isIPv6(one.host));
}

function isAt({ addresses }: experimental.Endpoint, address: string | null): boolean {
  return addresses.some((one) => experimental.subchannelAddressToString(one) === address);
}
