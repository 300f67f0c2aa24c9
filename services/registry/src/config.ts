/** Settings of the registry: environment, flags, defaults and help in one place. */
import { extraHost, serverSettings } from "@headroom/rpc";
import { type ConfigValues, defineConfig, option } from "@headroom/runtime";
import { DEFAULT_RULE_NAME, FLAPS_TOLERATED } from "@headroom/scheduling";
import { PLACEMENT_POLICIES } from "./placement/placement-policies.ts";

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
    item: extraHost,
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
    help: "Database connections at most, besides one that listens.",
    default: 8,
    min: 2,
    max: 200,
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
  flapsTolerated: option.int({
    env: "HEADROOM_FLAPS_TOLERATED",
    flag: "flaps-tolerated",
    help: "How often an agent may vanish unannounced (one is forgotten in five minutes of calm) before it is put on probation and given no work for a while.",
    default: FLAPS_TOLERATED,
    min: 0,
    max: 1_000,
  }),
  placementPolicy: option.oneOf(PLACEMENT_POLICIES, {
    env: "HEADROOM_PLACEMENT_POLICY",
    flag: "placement-policy",
    help: "How an agent is chosen among those where a task fits, unless a request names another way (docs/placement.md).",
    default: DEFAULT_RULE_NAME,
  }),
  ...serverSettings,
});

export type RegistryConfig = ConfigValues<typeof registryConfig>;
