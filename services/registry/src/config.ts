/** Settings of the registry: environment, flags, defaults and help in one place. */
import { type ConfigValues, dataPaths, defaultDataDir, defineConfig, logLevels, option } from "@headroom/runtime";
import { POLICY_NAMES } from "@headroom/scheduling";
import type { ServerTls } from "@headroom/rpc";

export const registryConfig = defineConfig({
  grpcAddr: option.hostPort({
    env: "HEADROOM_REGISTRY_GRPC_ADDR",
    flag: "grpc-addr",
    help: "Where gRPC listens.",
    default: "127.0.0.1:7401",
  }),
  httpAddr: option.hostPort({
    env: "HEADROOM_REGISTRY_HTTP_ADDR",
    flag: "http-addr",
    help: "Where REST, /metrics and /healthz listen.",
    default: "127.0.0.1:7402",
  }),
  httpHosts: option.list({
    env: "HEADROOM_REGISTRY_HTTP_HOSTS",
    flag: "http-hosts",
    help: "Names under which REST may be addressed besides its own address.",
    default: "",
  }),
  // oxlint-disable-next-line typescript/no-unnecessary-type-arguments -- without it the compiler infers string | null
  databaseUrl: option.url<string>({
    env: "DATABASE_URL",
    flag: "database-url",
    help: "PostgreSQL 15 or newer. `headroom up` runs one of its own instead.",
    protocols: ["postgres", "postgresql"],
    example: "postgresql://headroom@127.0.0.1:5432/headroom",
  }),
  databaseMaxConnections: option.int({
    env: "HEADROOM_REGISTRY_DATABASE_CONNECTIONS",
    flag: "database-connections",
    help: "Database connections at most.",
    default: 8,
    min: 2,
    max: 200,
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
    help: "File with the token that callers show; by default DATA_DIR/token, written at the first start.",
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
  allowPlaintext: option.boolean({
    env: "HEADROOM_ALLOW_PLAINTEXT",
    flag: "allow-plaintext",
    help: "Listen on other addresses than loopback without TLS, where the network itself is protected.",
    default: false,
  }),
  heartbeatIntervalMs: option.seconds({
    env: "HEADROOM_HEARTBEAT_INTERVAL_SECONDS",
    flag: "heartbeat-interval-seconds",
    help: "Time between the beats of an agent; after three without one it is suspect.",
    default: 5,
    min: 0.1,
    max: 300,
  }),
  offlineGraceMs: option.seconds({
    env: "HEADROOM_OFFLINE_GRACE_SECONDS",
    flag: "offline-grace-seconds",
    help: "How long a suspect agent may take to come back before it counts as offline.",
    default: 30,
    min: 0.1,
    max: 86_400,
  }),
  placementPolicy: option.oneOf(POLICY_NAMES, {
    env: "HEADROOM_PLACEMENT_POLICY",
    flag: "placement-policy",
    help: "How an agent is chosen among those where a task fits.",
    default: "best-fit",
  }),
  drainMs: option.seconds({
    env: "HEADROOM_DRAIN_SECONDS",
    flag: "drain-seconds",
    help: "How long calls in progress may take when the registry stops.",
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

export type RegistryConfig = ConfigValues<typeof registryConfig>;

/** Where the token and the logs lie. */
export function registryPaths(
  config: RegistryConfig,
  env: Readonly<Record<string, string | undefined>> = process.env,
): { readonly tokenFile: string; readonly logFile: string } {
  const paths = dataPaths(config.dataDir ?? defaultDataDir(env));
  return { tokenFile: config.tokenFile ?? paths.tokenFile, logFile: `${paths.logsDir}/registry.log` };
}

/** The TLS files, or undefined for plaintext. Throws when only one of certificate and key is set. */
export function tlsOf(config: RegistryConfig): ServerTls | undefined {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: clientCaFile } = config;
  if (certFile === null && keyFile === null) return undefined;
  if (certFile === null || keyFile === null) {
    throw new TypeError("HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE belong together: set both, or neither");
  }
  return { certFile, keyFile, ...(clientCaFile !== null && { clientCaFile }) };
}
