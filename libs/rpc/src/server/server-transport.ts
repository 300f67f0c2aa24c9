import type { HostPort, Logger, Ports } from "@headroom/runtime";
import type { ServerTls } from "../auth/tls.ts";
import type { HealthState } from "./health-state.ts";
import type { MethodTable } from "./method-table.ts";

/** What a transport serves. */
export interface ServedCalls {
  /** Of the process, for logs and errors: "registry". */
  readonly name: string;
  readonly address: HostPort;
  /** How to change it, for errors. */
  readonly setting: string | undefined;
  readonly methods: MethodTable;
  readonly health: HealthState;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly tls: ServerTls | undefined;
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxConnections: number;
}

/** A transport that takes calls. */
export interface OpenTransport {
  /** Where it really listens. */
  readonly address: HostPort;
  /** Takes no new calls from now on; resolves when no connection is left. Never rejects. */
  drain(): Promise<void>;
  /** Ends whatever connection is left. */
  destroy(): void;
}

/** Carries calls to a server, as a port: gRPC over sockets, or something of a simulation's own. */
export interface ServerTransport {
  /** Rejects with an error that names the address when it cannot listen there. */
  open(calls: ServedCalls): Promise<OpenTransport>;
}
