import { createChannel, type Channel } from "./client/channel.ts";
import type { ChannelOptions } from "./client/channel-options.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "./http/index.ts";
import { createRpcServer } from "./server/rpc-server.ts";
import type { RpcServer, RpcServerOptions } from "./server/rpc-server-options.ts";

/** How a program reaches others and is reached, as a port; a simulation gives its own. */
export interface Network {
  channel(options: ChannelOptions): Channel;
  rpcServer(options: RpcServerOptions): RpcServer;
  httpServer(options: HttpServerOptions): HttpServer;
}

/** gRPC and HTTP over sockets. */
export const socketNetwork: Network = {
  channel: createChannel,
  rpcServer: createRpcServer,
  httpServer: createHttpServer,
};
