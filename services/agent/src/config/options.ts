import { defaultDataDir, defineConfig, option } from "@headroom/runtime";

const agentTypes = ["desktop", "infra", "code", "research"] as const;

/**
 * Every setting of the agent. A flag wins over the environment, that over `agent.yaml` in the agent's folder (the same names as the
 * flags, with _ for -), that over the default.
 */
export const agentOptions = defineConfig({
  dataDir: option.path({
    env: "HEADROOM_DATA_DIR",
    flag: "data-dir",
    help: "Folder that holds the agent's identity, journal and logs (below agent/).",
    default: defaultDataDir(),
  }),
  registryAddr: option.hostPort({
    env: "HEADROOM_REGISTRY_ADDR",
    flag: "registry-addr",
    help: "Where the registry takes gRPC.",
    default: "127.0.0.1:7401",
  }),
  orchestratorAddr: option.hostPort({
    env: "HEADROOM_ORCHESTRATOR_ADDR",
    flag: "orchestrator-addr",
    help: "Where the orchestrator takes gRPC. Default: the registry's host, port 7411.",
    default: null,
  }),
  joinToken: option.string({
    env: "HEADROOM_JOIN_TOKEN",
    flag: "join",
    help: "Join token, exchanged once for a credential that is kept in the agent's folder.",
    default: null,
    secret: true,
  }),
  tokenFile: option.path({
    env: "HEADROOM_TOKEN_FILE",
    flag: "token-file",
    help: "File with the token for both services. Default: token in the data folder, if it is there, and for services of this machine only.",
    default: null,
  }),
  token: option.string({
    env: "HEADROOM_TOKEN",
    help: "The token itself, in place of a file (--token-file wins over it).",
    default: null,
    secret: true,
  }),
  tlsCaFile: option.path({
    env: "HEADROOM_TLS_CA_FILE",
    flag: "tls-ca-file",
    help: "Certificates (PEM) that the services are checked against; turns TLS on.",
    default: null,
  }),
  tlsCertFile: option.path({
    env: "HEADROOM_AGENT_TLS_CERT_FILE",
    flag: "tls-cert-file",
    help: "The agent's own certificate (PEM), for mutual TLS.",
    default: null,
  }),
  tlsKeyFile: option.path({
    env: "HEADROOM_AGENT_TLS_KEY_FILE",
    flag: "tls-key-file",
    help: "Key (PEM) of the agent's own certificate.",
    default: null,
  }),
  pool: option.string({
    env: "HEADROOM_AGENT_POOL",
    flag: "pool",
    help: "Pool that the agent belongs to.",
    default: "default",
    maxLength: 63,
  }),
  type: option.oneOf(agentTypes, {
    env: "HEADROOM_AGENT_TYPE",
    flag: "type",
    help: "What the agent is for. Only desktops are given work.",
    default: "desktop",
  }),
  labels: option.list({
    env: "HEADROOM_AGENT_LABELS",
    flag: "labels",
    help: "Labels that tasks can ask for: site=berlin,driver=550.",
    default: null,
    maxItems: 64,
  }),
  declareCpuCores: option.number({
    env: "HEADROOM_AGENT_DECLARE_CPU_CORES",
    flag: "declare-cpu-cores",
    help: "CPU cores, declared instead of measured.",
    default: null,
    min: 0,
    max: 4_096,
  }),
  declareMemoryGb: option.number({
    env: "HEADROOM_AGENT_DECLARE_MEMORY_GB",
    flag: "declare-memory-gb",
    help: "Memory in GiB, declared instead of measured.",
    default: null,
    min: 0,
    max: 1_048_576,
  }),
  declareGpus: option.list({
    env: "HEADROOM_AGENT_DECLARE_GPUS",
    flag: "declare-gpus",
    help: "Cards, declared instead of measured, each MODEL:VRAM_GB: RTX 4090:24,RTX 4090:24; none for no card.",
    default: null,
    maxItems: 64,
  }),
  offerCpuCores: option.number({
    env: "HEADROOM_AGENT_OFFER_CPU_CORES",
    flag: "offer-cpu-cores",
    help: "CPU cores that Headroom may take at most. Default: all.",
    default: null,
    min: 0,
    max: 4_096,
  }),
  offerMemoryGb: option.number({
    env: "HEADROOM_AGENT_OFFER_MEMORY_GB",
    flag: "offer-memory-gb",
    help: "Memory in GiB that Headroom may take at most. Default: all.",
    default: null,
    min: 0,
    max: 1_048_576,
  }),
  offerVramGb: option.number({
    env: "HEADROOM_AGENT_OFFER_GPU_VRAM_GB",
    flag: "offer-gpu-vram-gb",
    help: "VRAM in GiB of each card that Headroom may take at most. Default: all.",
    default: null,
    min: 0,
    max: 4_096,
  }),
  maxAttempts: option.int({
    env: "HEADROOM_AGENT_MAX_ATTEMPTS",
    flag: "max-attempts",
    help: "Tasks that may run at once, whatever room there is.",
    default: 256,
    min: 1,
    max: 4_096,
  }),
  stopGraceMs: option.seconds({
    env: "HEADROOM_AGENT_STOP_GRACE_SECONDS",
    flag: "stop-grace-seconds",
    help: "When the agent stops: seconds that running tasks have between TERM and KILL.",
    default: 10,
    min: 0,
    max: 3_600,
  }),
  logLevel: option.oneOf(["debug", "info", "warn", "error"], {
    env: "HEADROOM_LOG_LEVEL",
    flag: "log-level",
    help: "Least severe records that are logged.",
    default: "info",
  }),
});
