import { ServerCredentials } from "@grpc/grpc-js";
import { ServerCertificates } from "../auth/server-certificates.ts";
import { quietGrpc } from "../quiet-grpc.ts";
import { ConnectionGate } from "./connection-gate.ts";
import { createGrpcServer } from "./grpc-server.ts";
import { listen } from "./listen.ts";
import { RenewableCredentials } from "./renewable-credentials.ts";
import type { ServerTransport } from "./server-transport.ts";

/** A storm of agents that all come at once stays below it: each asks for something within milliseconds. */
const maxSilent = 4_096;
const firstRequestMs = 20_000;

/** gRPC over sockets. */
export const grpcTransport: ServerTransport = {
  async open(calls) {
    quietGrpc();
    const { tls, ports, logger } = calls;
    const certificates = tls === undefined ? null : await ServerCertificates.open({ tls, ports, logger });
    const renewable = certificates === null ? null : new RenewableCredentials(certificates.pem);
    const gate = new ConnectionGate({
      name: `${calls.name} gRPC`,
      timers: calls.ports.timers,
      logger: calls.logger,
      maxConnections: calls.maxConnections,
      maxSilent,
      firstRequestMs,
    });
    const server = createGrpcServer(calls, gate);
    const injector = server.createConnectionInjector(renewable ?? ServerCredentials.createInsecure());
    try {
      const listening = await listen((socket) => {
        if (gate.admit(socket)) injector.injectConnection(socket);
      }, calls);
      certificates?.watch((pem) => renewable?.renew(pem));
      const stopAccepting = (): void => {
        certificates?.close();
        listening.close();
        gate.endSilent();
      };
      return {
        address: listening.address,
        drain() {
          stopAccepting();
          return new Promise((resolve) => server.tryShutdown(() => resolve()));
        },
        destroy() {
          stopAccepting();
          server.forceShutdown();
        },
      };
    } catch (error) {
      server.forceShutdown();
      throw error;
    }
  },
};
