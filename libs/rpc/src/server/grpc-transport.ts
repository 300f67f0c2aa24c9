import { serverCredentials } from "../auth/tls.ts";
import { quietGrpc } from "../quiet-grpc.ts";
import { createGrpcServer } from "./grpc-server.ts";
import { listen } from "./listen.ts";
import type { ServerTransport } from "./server-transport.ts";

/** gRPC over sockets. */
export const grpcTransport: ServerTransport = {
  async open(calls) {
    quietGrpc();
    const credentials = serverCredentials(calls.tls);
    const server = createGrpcServer(calls);
    try {
      const address = await listen(server, credentials, calls);
      return {
        address,
        drain: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
        destroy: () => server.forceShutdown(),
      };
    } catch (error) {
      server.forceShutdown();
      throw error;
    }
  },
};
