import { tokenProblem, withTokenOfFlag } from "@headroom/rpc";
import {
  ConfigError,
  dataPaths,
  loadConfig,
  type ConfigProblem,
  type ConfigValues,
  type HostPort,
  type LogLevel,
} from "@headroom/runtime";
import type { DeclaredResources, Offer } from "../sampling/declared.ts";
import { parseDeclaredGpus } from "./declared-gpus.ts";
import { readConfigFile, type FileSettings } from "./config-file.ts";
import { parseLabels } from "./labels.ts";
import { agentOptions } from "./options.ts";

/** What the agent is for. */
export type AgentKind = "desktop" | "infra" | "code" | "research";

/** TLS towards both services; null: plaintext. */
export interface AgentTls {
  readonly caFile: string;
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

/** The agent's configuration, checked. */
export interface AgentConfig {
  readonly agentDir: string;
  readonly logsDir: string;
  readonly registryAddr: HostPort;
  readonly orchestratorAddr: HostPort;
  readonly token: string | null;
  /** Exchanged once for a credential; null: the agent has one, or needs none. */
  readonly joinToken: string | null;
  /** Read at each start when no token is given itself; it need not exist. */
  readonly tokenFile: string;
  /** Nobody has named it: what lies there is the token of this machine's own services. */
  readonly isOwnTokenFile: boolean;
  readonly tls: AgentTls | null;
  readonly pool: string;
  readonly type: AgentKind;
  readonly labels: Readonly<Record<string, string>>;
  readonly declared: DeclaredResources;
  readonly offer: Offer;
  /** Attempts at once. */
  readonly maxAttempts: number;
  readonly stopGraceMs: number;
  readonly logLevel: LogLevel;
}

export interface AgentConfigInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By the flag's name in kebab-case. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

const orchestratorPort = 7_411;

type Values = ConfigValues<typeof agentOptions>;

/** Reads flags, environment and `agent.yaml`. Throws ConfigError that names each wrong setting, its value and how to write it right. */
export async function loadAgentConfig(input: AgentConfigInput): Promise<AgentConfig> {
  const { dataDir } = agentOptions;
  const found = loadConfig({ dataDir }, input);
  if (found.kind === "invalid") throw new ConfigError(found.problems);
  const { agentDir } = dataPaths(found.values.dataDir);
  const file = await readConfigFile(agentDir, agentOptions);
  const loaded = loadConfig(agentOptions, { ...input, env: withFile(input.env, file) });
  if (loaded.kind === "invalid")
    throw new ConfigError(loaded.problems.map((problem) => tellFile(problem, input, file)));
  return agentConfig(withTokenOfFlag(loaded));
}

function agentConfig(values: Values): AgentConfig {
  const labels = parseLabels(values.labels ?? []);
  const gpus = parseDeclaredGpus(values.declareGpus);
  const tls = tlsOf(values);
  const token = tokenProblem(values.token);
  const problems = [labels, gpus, tls].flatMap((part) => (part.kind === "invalid" ? [part.problem] : []));
  if (token !== null) problems.push(token);
  if (labels.kind === "invalid" || gpus.kind === "invalid" || tls.kind === "invalid" || token !== null)
    throw new ConfigError(problems);
  const paths = dataPaths(values.dataDir);
  return {
    agentDir: paths.agentDir,
    logsDir: paths.logsDir,
    registryAddr: values.registryAddr,
    // Who names one service of another machine most likely means both.
    orchestratorAddr: values.orchestratorAddr ?? { host: values.registryAddr.host, port: orchestratorPort },
    token: values.token,
    joinToken: values.joinToken,
    tokenFile: values.tokenFile ?? paths.tokenFile,
    isOwnTokenFile: values.tokenFile === null,
    tls: tls.value,
    pool: values.pool,
    type: values.type,
    labels: labels.value,
    declared: {
      cpuMillicores: scaled(values.declareCpuCores, 1_000),
      memoryMib: scaled(values.declareMemoryGb, 1_024),
      cards: gpus.value,
    },
    offer: {
      cpuMillicores: scaled(values.offerCpuCores, 1_000),
      memoryMib: scaled(values.offerMemoryGb, 1_024),
      vramMib: scaled(values.offerVramGb, 1_024),
    },
    maxAttempts: values.maxAttempts,
    stopGraceMs: values.stopGraceMs,
    logLevel: values.logLevel,
  };
}

/** What is available rounds down. */
function scaled(value: number | null, factor: number): number | null {
  return value === null ? null : Math.floor(value * factor + 1e-6);
}

function tlsOf(values: Values): { kind: "ok"; value: AgentTls | null } | { kind: "invalid"; problem: ConfigProblem } {
  const { tlsCaFile, tlsCertFile, tlsKeyFile } = values;
  const invalid = (message: string): { kind: "invalid"; problem: ConfigProblem } => ({
    kind: "invalid",
    problem: {
      setting: "tlsCaFile",
      env: agentOptions.tlsCaFile.env,
      flag: agentOptions.tlsCaFile.flag,
      given: tlsCaFile,
      allowed: "paths of PEM files",
      example: "HEADROOM_TLS_CA_FILE=/etc/headroom/ca.pem",
      message,
    },
  });
  if ((tlsCertFile === null) !== (tlsKeyFile === null))
    return invalid(
      "HEADROOM_AGENT_TLS_CERT_FILE (--tls-cert-file) and HEADROOM_AGENT_TLS_KEY_FILE (--tls-key-file) belong together: set both or none",
    );
  if (tlsCaFile !== null)
    return { kind: "ok", value: { caFile: tlsCaFile, certFile: tlsCertFile, keyFile: tlsKeyFile } };
  if (tlsCertFile === null) return { kind: "ok", value: null };
  return invalid(
    "HEADROOM_AGENT_TLS_CERT_FILE is set without HEADROOM_TLS_CA_FILE (--tls-ca-file): name the certificates that the services are checked against",
  );
}

/** The file's settings as if they stood in the environment, where the environment itself has none. */
function withFile(env: AgentConfigInput["env"], file: FileSettings): Record<string, string | undefined> {
  const merged: Record<string, string | undefined> = { ...env };
  for (const [name, value] of file.settings) if ((env[name] ?? "").trim() === "") merged[name] = value;
  return merged;
}

/** A wrong value that came from the file is told with the file's name, not with a variable that nobody set. */
function tellFile(problem: ConfigProblem, input: AgentConfigInput, file: FileSettings): ConfigProblem {
  const isSet =
    (problem.flag !== undefined && input.flags?.[problem.flag] !== undefined) ||
    (input.env[problem.env] ?? "").trim() !== "";
  if (isSet || !file.settings.has(problem.env)) return problem;
  return { ...problem, message: `${file.path}: ${problem.message}` };
}
