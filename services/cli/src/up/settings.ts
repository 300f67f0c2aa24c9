import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadAgentConfig } from "@headroom/agent";
import { orchestratorConfig } from "@headroom/orchestrator";
import { registryConfig } from "@headroom/registry";
import { type ClientTls, serverSettings, tokenFileBesideToken } from "@headroom/rpc";
import {
  ConfigError,
  type ConfigProblem,
  type DataPaths,
  dataPaths,
  defaultDataDir,
  defineConfig,
  loadConfig,
  loadConfigOrThrow,
  option,
} from "@headroom/runtime";
import { type Part, parts } from "../parts.ts";
import { type RestScheme, restScheme } from "../rest-scheme.ts";
import { clientTlsOf, tlsSettings } from "../tls-settings.ts";
import type { ListenAddress } from "./addresses.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The settings of `up` itself; those of the parts are read by the parts. */
export const upOptions = defineConfig({
  dataDir: option.path({
    env: "HEADROOM_DATA_DIR",
    flag: "data-dir",
    help: "Folder that holds everything: database, logs, token, the agent's journal",
    default: null,
  }),
  databaseUrl: option.url({
    env: "DATABASE_URL",
    flag: "database-url",
    help: "A PostgreSQL 15 or newer; without it one runs on the data folder",
    default: null,
    protocols: ["postgres", "postgresql"],
    example: "postgresql://headroom@127.0.0.1:5432/headroom",
  }),
  tokenFile: option.path({
    env: "HEADROOM_TOKEN_FILE",
    flag: "token-file",
    help: "File with the token; else `token` in the data folder",
    default: null,
  }),
});

export type AddressKey = "registryGrpc" | "registryHttp" | "orchestratorGrpc" | "orchestratorHttp";

export interface UpSettings {
  readonly paths: DataPaths;
  /** null: the token stands in the environment, and no file of it is written. */
  readonly tokenFile: string | null;
  /** What is to be told of the settings; null: nothing. */
  readonly warning: string | null;
  /** null: run an embedded PostgreSQL. */
  readonly databaseUrl: string | null;
  readonly addresses: Readonly<Record<AddressKey, ListenAddress>>;
  /** With TLS, REST speaks it too. */
  readonly restScheme: RestScheme;
  /** What the agent gives its tasks, when it stops, from TERM to KILL. */
  readonly agentStopGraceMs: number;
  /** How `up` itself asks the registry; null: plaintext. */
  readonly clientTls: ClientTls | null;
  /** The environment that all parts are given; addresses and database come on top. */
  readonly env: Env;
  /** The program's own file. */
  readonly entry: string;
}

/** Stands for the database that does not run yet while settings are checked. */
const databaseToCome = "postgresql://localhost/headroom";

/** Reads and checks the settings of `up` and of every part. Throws ConfigError with all that is wrong, before anything starts. */
export async function readUpSettings(env: Env, flags: Readonly<Record<string, unknown>>): Promise<UpSettings> {
  const { values, sources } = loadConfigOrThrow(upOptions, { env, flags });
  const paths = dataPaths(values.dataDir ?? defaultDataDir(env));
  const tokenFile = values.tokenFile ?? paths.tokenFile;
  const childEnv: Env = {
    ...env,
    // To the parts the file is named by the environment, where a token would win over it.
    ...(sources.tokenFile === "flag" && { HEADROOM_TOKEN: undefined }),
    HEADROOM_DATA_DIR: paths.dataDir,
    HEADROOM_TOKEN_FILE: tokenFile,
    // Addresses of services elsewhere are for other commands; `up` connects its own parts with each other.
    HEADROOM_REGISTRY_ADDR: undefined,
    HEADROOM_ORCHESTRATOR_ADDR: undefined,
  };
  const { token } = loadConfigOrThrow({ token: serverSettings.token }, { env }).values;
  const isPassedOver = token !== null && sources.tokenFile === "flag";
  const checkedEnv: Env = { ...childEnv, DATABASE_URL: values.databaseUrl ?? databaseToCome };
  await checkParts(checkedEnv);
  const { stopGraceMs: agentStopGraceMs } = await loadAgentConfig({ env: checkedEnv });
  const warning = isPassedOver ? (await tokenFileBesideToken(tokenFile, token)).warning : null;
  const clientTls = clientTlsOf(env, {});
  const scheme = restScheme({ env: childEnv });
  checkOneTls(scheme === "https", clientTls !== null);
  return {
    paths,
    tokenFile: token === null || isPassedOver ? tokenFile : null,
    warning,
    databaseUrl: values.databaseUrl,
    addresses: readAddresses(childEnv),
    restScheme: scheme,
    agentStopGraceMs,
    clientTls,
    env: childEnv,
    entry: fileURLToPath(import.meta.url),
  };
}

async function checkParts(env: Env): Promise<void> {
  const found = await Promise.all(Object.values(parts).map((part: Part) => part.check({ env })));
  // Two parts that share a setting say the same of it.
  const problems = new Map<string, ConfigProblem>(found.flat().map((problem) => [problem.message, problem]));
  if (problems.size > 0) throw new ConfigError([...problems.values()]);
}

/** Its parts call each other: where one side alone speaks TLS they would try for ever. */
function checkOneTls(serves: boolean, calls: boolean): void {
  if (serves === calls) return;
  const { env, flag, allowed } = tlsSettings.tlsCaFile;
  const example = serves
    ? "name in it the CA that signed the certificate, or the certificate itself if it signed itself"
    : "set those two as well, or take the CA away";
  const problem = serves
    ? `HEADROOM_TLS_CERT_FILE is set without ${env}, by which the parts of headroom up check each other's certificate`
    : `${env} is set without HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE: the parts of headroom up would call each other by TLS, and none would serve it`;
  throw new ConfigError([
    { setting: "tlsCaFile", env, flag, given: null, allowed, example, message: `${problem}: ${example}` },
  ]);
}

function readAddresses(env: Env): Readonly<Record<AddressKey, ListenAddress>> {
  const registry = loadConfig({ grpc: registryConfig.grpcAddr, http: registryConfig.httpAddr }, { env });
  const orchestrator = loadConfig({ grpc: orchestratorConfig.grpcAddr, http: orchestratorConfig.httpAddr }, { env });
  if (registry.kind === "invalid") throw new ConfigError(registry.problems);
  if (orchestrator.kind === "invalid") throw new ConfigError(orchestrator.problems);
  return {
    registryGrpc: { what: "the registry's gRPC", variable: registryConfig.grpcAddr.env, address: registry.values.grpc },
    registryHttp: { what: "the registry's REST", variable: registryConfig.httpAddr.env, address: registry.values.http },
    orchestratorGrpc: {
      what: "the orchestrator's gRPC",
      variable: orchestratorConfig.grpcAddr.env,
      address: orchestrator.values.grpc,
    },
    orchestratorHttp: {
      what: "the orchestrator's REST",
      variable: orchestratorConfig.httpAddr.env,
      address: orchestrator.values.http,
    },
  };
}

/** Where a part logs. */
export function logFileOf(paths: DataPaths, part: string): string {
  return join(paths.logsDir, `${part}.log`);
}
