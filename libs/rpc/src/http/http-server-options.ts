import type { HostPort, Logger, ManagedService, Metrics, Ports } from "@headroom/runtime";
import type { AuthPolicy } from "../auth/auth-policy.ts";
import type { ServerTls } from "../auth/tls.ts";
import type { Health } from "../server/health-state.ts";
import type { MethodTable } from "../server/method-table.ts";

/** Whether work should be sent to a server, and why not. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly why: string };

export interface HttpServerOptions {
  /** Of the process, for logs, errors and OpenAPI: "registry". */
  readonly name: string;
  readonly listen: {
    /** "127.0.0.1:7402" or its parts; port 0 takes any free port. */
    readonly http: string | HostPort;
    /** How to change it, for errors: "HEADROOM_REGISTRY_HTTP_ADDR or --http-addr". */
    readonly setting?: string;
    /** Names under which the server is known besides: "registry.lan" or "registry.lan:8080". Without a port, any port. */
    readonly extraHosts?: readonly string[];
    /** How to add to them, for errors: "HEADROOM_REGISTRY_HTTP_HOSTS or --http-hosts". */
    readonly hostsSetting?: string;
  };
  /** What is served: those methods that have a google.api.http rule. */
  readonly methods: MethodTable;
  readonly auth: AuthPolicy;
  readonly logger: Logger;
  /** Absent: no /metrics. */
  readonly metrics?: Metrics;
  /** Absent: readiness alone decides. A service in it that is not serving makes the server not ready. */
  readonly health?: Health;
  readonly ports: Ports;
  /** Asked at each /readyz. */
  readonly readiness?: () => Readiness | Promise<Readiness>;
  readonly tls?: ServerTls;
  /** Allows an address other than loopback without TLS, where the network itself is protected. Default false. */
  readonly allowPlaintext?: boolean;
  /** Of the software, for OpenAPI. */
  readonly version?: string;
  /** Longest request body. Default 16 MiB. */
  readonly maxBodyBytes?: number;
  /** Connections at once. When there are more, those go first that have asked for nothing yet, then those that are idle. Default 1,024. */
  readonly maxConnections?: number;
  /** Time a caller may take to send the header of a request. Default 10,000 ms. */
  readonly headersTimeoutMs?: number;
  /** Time a unary call may take. Default 30,000 ms. Streams have no limit. */
  readonly callDeadlineMs?: number;
  /** How long `stop` waits for answers in progress. Default 5,000 ms. */
  readonly drainMs?: number;
}

/** The REST face of a process. Starts and stops idempotently, and can be started again. */
export interface HttpServer extends ManagedService {
  /** Where it really listens; null when it does not. */
  readonly address: HostPort | null;
}
