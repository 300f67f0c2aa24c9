/** Settings of the orchestrator: environment, flags, defaults and help in one place. */
import type { ClientTls, ServerTls } from "@headroom/rpc";
import { type ConfigValues, dataPaths, defaultDataDir, defineConfig, logLevels, option } from "@headroom/runtime";
import { DEFAULT_PAUSE_THRESHOLD } from "@headroom/scheduling";

export const orchestratorConfig = defineConfig({
  grpcAddr: option.hostPort({
    env: "HEADROOM_ORCHESTRATOR_GRPC_ADDR",
    flag: "grpc-addr",
    help: "Where gRPC listens.",
    default: "127.0.0.1:7411",
  }),
  httpAddr: option.hostPort({
    env: "HEADROOM_ORCHESTRATOR_HTTP_ADDR",
    flag: "http-addr",
    help: "Where REST, /metrics and /healthz listen.",
    default: "127.0.0.1:7412",
  }),
  httpHosts: option.list({
    env: "HEADROOM_ORCHESTRATOR_HTTP_HOSTS",
    flag: "http-hosts",
    help: "Names under which REST may be addressed besides its own address.",
    default: "",
  }),
  registryAddr: option.hostPort({
    env: "HEADROOM_REGISTRY_ADDR",
    flag: "registry",
    help: "Where the registry's gRPC is.",
    default: "127.0.0.1:7401",
  }),
  // Without the type argument the absent default is inferred as one that may be null.
  // oxlint-disable-next-line typescript/no-unnecessary-type-arguments
  databaseUrl: option.url<string>({
    env: "DATABASE_URL",
    flag: "database-url",
    help: "PostgreSQL 15 or newer. `headroom up` runs one of its own instead.",
    protocols: ["postgres", "postgresql"],
    example: "postgresql://headroom@127.0.0.1:5432/headroom",
  }),
  databaseMaxConnections: option.int({
    env: "HEADROOM_ORCHESTRATOR_DATABASE_CONNECTIONS",
    flag: "database-connections",
    help: "Database connections at most, besides one that listens.",
    default: 10,
    min: 2,
    max: 200,
  }),
  pauseThreshold: option.fraction({
    env: "PAUSE_CAPACITY_THRESHOLD_PERCENT",
    flag: "pause-threshold",
    help: "Work pauses when every online agent has less than this free, as a fraction: 0.2 is 20 %.",
    default: DEFAULT_PAUSE_THRESHOLD,
  }),
  pollingIntervalMs: option.seconds({
    env: "PAUSE_POLLING_INTERVAL_SECONDS",
    flag: "pause-polling-interval-seconds",
    help: "Time between two looks at the queue when nothing else gives cause for one.",
    default: 10,
    min: 0.1,
    max: 3_600,
  }),
  errorDelayMs: option.seconds({
    env: "PAUSE_ERROR_DELAY_SECONDS",
    flag: "pause-error-delay-seconds",
    help: "Time until the queue is looked at again after an error.",
    default: 30,
    min: 0.1,
    max: 3_600,
  }),
  claimLeaseMs: option.seconds({
    env: "HEADROOM_CLAIM_LEASE_SECONDS",
    flag: "claim-lease-seconds",
    help: "How long another orchestrator waits before it takes over the tasks that one was placing when it died.",
    default: 15,
    min: 1,
    max: 300,
  }),
  maxOutputMb: option.number({
    env: "HEADROOM_TASK_OUTPUT_MB",
    flag: "task-output-mb",
    help: "Output kept of one run, in MiB; what is beyond is counted and left out.",
    default: 4,
    min: 0.001,
    max: 1_024,
  }),
  dataDir: option.path({
    env: "HEADROOM_DATA_DIR",
    flag: "data-dir",
    help: "Folder of token and logs; by default the user's own data folder.",
    default: null,
  }),
  tokenFile: option.path({
    env: "HEADROOM_TOKEN_FILE",
    flag: "token-file",
    help: "File with the token that callers show, and that the registry is shown; by default DATA_DIR/token, written at the first start.",
    default: null,
  }),
  tlsCertFile: option.path({
    env: "HEADROOM_TLS_CERT_FILE",
    flag: "tls-cert-file",
    help: "Certificate in PEM; turns TLS on, together with the key.",
    default: null,
  }),
  tlsKeyFile: option.path({
    env: "HEADROOM_TLS_KEY_FILE",
    flag: "tls-key-file",
    help: "Private key of the certificate in PEM.",
    default: null,
  }),
  tlsClientCaFile: option.path({
    env: "HEADROOM_TLS_CLIENT_CA_FILE",
    flag: "tls-client-ca-file",
    help: "CA in PEM that must have signed the certificates of clients (mutual TLS).",
    default: null,
  }),
  tlsCaFile: option.path({
    env: "HEADROOM_TLS_CA_FILE",
    flag: "tls-ca-file",
    help: "CA in PEM that signed the registry's certificate; turns TLS to the registry on.",
    default: null,
  }),
  allowPlaintext: option.boolean({
    env: "HEADROOM_ALLOW_PLAINTEXT",
    flag: "allow-plaintext",
    help: "Listen on other addresses than loopback without TLS, where the network itself is protected.",
    default: false,
  }),
  drainMs: option.seconds({
    env: "HEADROOM_DRAIN_SECONDS",
    flag: "drain-seconds",
    help: "How long calls in progress may take when the orchestrator stops.",
    default: 5,
    min: 0,
    max: 300,
  }),
  logLevel: option.oneOf(logLevels, {
    env: "LOG_LEVEL",
    flag: "log-level",
    help: "Least level of log records.",
    default: "info",
  }),
});

export type OrchestratorConfig = ConfigValues<typeof orchestratorConfig>;

/** Where the token and the logs lie. */
export function orchestratorPaths(
  config: OrchestratorConfig,
  env: Readonly<Record<string, string | undefined>> = process.env,
): { readonly tokenFile: string; readonly logFile: string } {
  const paths = dataPaths(config.dataDir ?? defaultDataDir(env));
  return { tokenFile: config.tokenFile ?? paths.tokenFile, logFile: `${paths.logsDir}/orchestrator.log` };
}

/** The TLS files of the server, or undefined for plaintext. Throws when only one of certificate and key is set. */
export function serverTlsOf(config: OrchestratorConfig): ServerTls | undefined {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: clientCaFile } = config;
  if (certFile === null && keyFile === null) return undefined;
  if (certFile === null || keyFile === null) {
    throw new TypeError("HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE belong together: set both, or neither");
  }
  return { certFile, keyFile, ...(clientCaFile !== null && { clientCaFile }) };
}

/** For the connection to the registry; with a certificate of our own it is shown there. */
export function registryTlsOf(config: OrchestratorConfig): ClientTls | undefined {
  const { tlsCaFile: caFile, tlsCertFile: certFile, tlsKeyFile: keyFile } = config;
  if (caFile === null) return undefined;
  return { caFile, ...(certFile !== null && keyFile !== null && { certFile, keyFile }) };
}
