import type { HostPort, Logger, ManagedService, Metrics, Ports } from "@headroom/runtime";
import type { AuthPolicy } from "../auth/auth-policy.ts";
import type { ServerTls } from "../auth/tls.ts";
import type { MapError } from "../pipeline/map-error.ts";
import type { BoundService } from "./bind-service.ts";
import type { Health } from "./health-state.ts";
import type { MethodTable } from "./method-table.ts";

export interface RpcServerOptions {
  /** Of the process, for logs and errors: "registry". */
  readonly name: string;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  readonly listen: {
    /** "127.0.0.1:7401" or its parts; port 0 takes any free port. */
    readonly grpc: string | HostPort;
    /** How to change it, for errors: "HEADROOM_REGISTRY_GRPC_ADDR or --grpc-addr". */
    readonly setting?: string;
  };
  readonly services: readonly BoundService[];
  readonly auth: AuthPolicy;
  readonly tls?: ServerTls;
  /** Allows an address other than loopback without TLS, where the network itself is protected. Default false. */
  readonly allowPlaintext?: boolean;
  /** Longest message in and out. Default 16 MiB. */
  readonly maxMessageBytes?: number;
  /** Streams of one connection at once. Default 1,000. */
  readonly maxConcurrentStreams?: number;
  /** Connections at once. When there are more, those go first that have asked for nothing yet, then those that are idle. Default 16,384. */
  readonly maxConnections?: number;
  /** How long `stop` waits for calls in progress. Default 10,000 ms. */
  readonly drainMs?: number;
  /** Translates the errors of a service (its database's, say); null: not known here. */
  readonly mapError?: MapError;
}

/** Told when a server is asked to stop; what it returns is awaited, within the drain time. */
export type StoppingListener = (reason: string) => void | Promise<void>;

/** A gRPC server. Starts and stops idempotently, and can be started again. */
export interface RpcServer extends ManagedService {
  /** Where it really listens; null when it does not. */
  readonly address: HostPort | null;
  readonly methods: MethodTable;
  readonly health: Health;
  /** Called at the begin of every stop, while all streams are up: say "reconnect" on them, and end them. Answers how to unsubscribe. */
  onStopping(listener: StoppingListener): () => void;
}
