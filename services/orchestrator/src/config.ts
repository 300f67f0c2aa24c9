/** Settings of the orchestrator: environment, flags, defaults and help in one place. */
import { type ClientTls, extraHost, serverSettings } from "@headroom/rpc";
import { type ConfigValues, defineConfig, option } from "@headroom/runtime";
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
    item: extraHost,
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
  priorityPointMs: option.seconds({
    env: "HEADROOM_PRIORITY_POINT_SECONDS",
    flag: "priority-point-seconds",
    help: "Ageing: one point of priority is worth so much time of waiting. Set it alike on all orchestrators.",
    default: 600,
    min: 1,
    max: 31_536_000,
  }),
  keepRoomAfterMs: option.seconds({
    env: "HEADROOM_KEEP_ROOM_AFTER_SECONDS",
    flag: "keep-room-after-seconds",
    help: "A task too large for what is free waits so long before an agent is kept for it.",
    default: 30,
    min: 0,
    max: 31_536_000,
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
    help: "Output kept of one run, in MiB: of more, the beginning and the newest; the middle is counted and left out.",
    default: 4,
    min: 0.001,
    max: 1_024,
  }),
  historyDays: option.number({
    env: "HEADROOM_HISTORY_DAYS",
    flag: "history-days",
    help: "Plans that ended, and the events of all plans, are deleted when they are older than so many days. 0 keeps them for ever.",
    default: 30,
    min: 0,
    max: 36_500,
  }),
  tlsCaFile: option.path({
    env: "HEADROOM_TLS_CA_FILE",
    flag: "tls-ca-file",
    help: "CA in PEM that signed the registry's certificate; turns TLS to the registry on.",
    default: null,
  }),
  ...serverSettings,
});

export type OrchestratorConfig = ConfigValues<typeof orchestratorConfig>;

/** For the connection to the registry; with a certificate of our own it is shown there. */
export function registryTlsOf(config: OrchestratorConfig): ClientTls | undefined {
  const { tlsCaFile: caFile, tlsCertFile: certFile, tlsKeyFile: keyFile } = config;
  if (caFile === null) return undefined;
  return { caFile, ...(certFile !== null && keyFile !== null && { certFile, keyFile }) };
}
