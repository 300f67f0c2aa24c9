import { methodOptions } from "@headroom/contracts";
import type { Channel } from "@headroom/rpc";

/** A channel without a token: what needs none goes through, all else fails with `why` there is none, which the service could not tell. */
export function openMethodsOnly(channel: Channel, why: Error): Channel {
  const isOpen = ({ path }: { readonly path: string }): boolean => methodOptions(path.slice(1))?.access === "open";
  return {
    address: channel.address,
    unary: (method, request, options) =>
      isOpen(method) ? channel.unary(method, request, options) : Promise.reject(why),
    serverStream: (method, request, options) =>
      isOpen(method) ? channel.serverStream(method, request, options) : failing(why),
    duplex: (method, options) => channel.duplex(method, options),
    reconnect: () => channel.reconnect(),
    close: () => channel.close(),
  };
}

// eslint-disable-next-line require-yield -- it ends before there is anything to tell
async function* failing(why: Error): AsyncGenerator<never> {
  throw why;
}
