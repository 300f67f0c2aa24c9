import {
  type ConfigProblem,
  ConfigError,
  dataPaths,
  defaultDataDir,
  defineConfig,
  formatHostPort,
  loadConfig,
  type HostPort,
  option,
} from "@headroom/runtime";
import { type ClientTls, isLoopbackHost, tokenProblem } from "@headroom/rpc";
import { readEndpoints } from "./endpoints.ts";

/** Where the services are and what to show them; whatever is left out is looked for (see `resolveConnection`). */
export interface ConnectionOptions {
  /** Registry as HOST:PORT. */
  readonly registry?: string;
  /** Orchestrator as HOST:PORT. */
  readonly orchestrator?: string;
  /** The token itself; wins over every file. */
  readonly token?: string;
  /** File that holds the token, mode 0600. */
  readonly tokenFile?: string;
  /** Data folder of the services of this machine: where their token and addresses are found. */
  readonly dataDir?: string;
  /** Talk TLS to both services. */
  readonly tls?: ClientTls;
}

/** What was found. */
export interface Connection {
  readonly registry: string;
  readonly orchestrator: string;
  readonly token: TokenSource;
  /** Services of another machine, which are not shown the token of this machine's own ones. */
  readonly strangers: readonly ("registry" | "orchestrator")[];
  readonly tls: ClientTls | null;
  readonly dataDir: string;
}

export type TokenSource =
  | { readonly kind: "given"; readonly token: string }
  /** `required`: somebody named this file, so a missing one is an error; else calls that need no token still work. */
  | { readonly kind: "file"; readonly path: string; readonly required: boolean };

/** The settings of a client: one declaration for environment, flags and help. */
export const connectionSettings = defineConfig({
  registry: option.hostPort({
    env: "HEADROOM_REGISTRY_ADDR",
    flag: "registry",
    help: "Address of the registry; else the one of this data folder's `headroom up`, else 127.0.0.1:7401",
    default: null,
  }),
  orchestrator: option.hostPort({
    env: "HEADROOM_ORCHESTRATOR_ADDR",
    flag: "orchestrator",
    help: "Address of the orchestrator; else the one of this data folder's `headroom up`, else 127.0.0.1:7411",
    default: null,
  }),
  dataDir: option.path({
    env: "HEADROOM_DATA_DIR",
    flag: "data-dir",
    help: "Data folder of the services of this machine, where token and addresses are found",
    default: null,
  }),
  token: option.string({
    env: "HEADROOM_TOKEN",
    help: "The token itself, in place of a file (--token-file wins over it)",
    default: null,
    secret: true,
  }),
  tokenFile: option.path({
    env: "HEADROOM_TOKEN_FILE",
    flag: "token-file",
    help: "File that holds the token, mode 0600; else the file `token` of the data folder, for services of this machine or over TLS",
    default: null,
  }),
  tlsCaFile: option.path({
    env: "HEADROOM_TLS_CA_FILE",
    flag: "tls-ca-file",
    help: "CA that signed the services' certificates; with it the connection is TLS",
    default: null,
  }),
});

const defaultRegistry = "127.0.0.1:7401";
const defaultOrchestrator = "127.0.0.1:7411";

/**
 * Finds the services. In this order: the options given, the environment (HEADROOM_REGISTRY_ADDR, HEADROOM_ORCHESTRATOR_ADDR,
 * HEADROOM_TOKEN, HEADROOM_TOKEN_FILE, HEADROOM_TLS_CA_FILE), what `headroom up` left in the data folder, the default ports on
 * loopback. Throws ConfigError, naming what is written wrong and how to write it right.
 */
export function resolveConnection(
  options: ConnectionOptions = {},
  env: Readonly<Record<string, string | undefined>> = process.env,
): Connection {
  const loaded = loadConfig(connectionSettings, {
    env,
    flags: {
      registry: options.registry,
      orchestrator: options.orchestrator,
      "data-dir": options.dataDir,
      "token-file": options.tokenFile,
    },
  });
  if (loaded.kind === "invalid") throw new ConfigError(loaded.problems satisfies readonly ConfigProblem[]);
  const { values, sources } = loaded;
  const dataDir = values.dataDir ?? defaultDataDir(env);
  const token = tokenSource(options, values.token, sources.tokenFile === "flag", values.tokenFile, dataDir);
  const problem = token.kind === "given" ? tokenProblem(token.token) : null;
  // A token of the program's own is its own affair.
  if (problem !== null && options.token === undefined) throw new ConfigError([problem]);
  const left = values.registry === null || values.orchestrator === null ? readEndpoints(dataDir) : null;
  const tls = options.tls ?? (values.tlsCaFile === null ? null : { caFile: values.tlsCaFile });
  // What the data folder itself names is its own, and who is reached by TLS has proved to be who was named.
  const isStranger = (address: HostPort | null): boolean =>
    address !== null && tls === null && !isLoopbackHost(address.host);
  return {
    registry: values.registry === null ? (left?.registry ?? defaultRegistry) : formatHostPort(values.registry),
    orchestrator:
      values.orchestrator === null ? (left?.orchestrator ?? defaultOrchestrator) : formatHostPort(values.orchestrator),
    token,
    strangers: (["registry", "orchestrator"] as const).filter((service) => isStranger(values[service])),
    tls,
    dataDir,
  };
}

/** A file named by the caller is meant more than a token that happens to stand in the environment. */
function tokenSource(
  options: ConnectionOptions,
  envToken: string | null,
  fileWasOption: boolean,
  tokenFile: string | null,
  dataDir: string,
): TokenSource {
  if (options.token !== undefined) return { kind: "given", token: options.token };
  if (fileWasOption && tokenFile !== null) return { kind: "file", path: tokenFile, required: true };
  if (envToken !== null) return { kind: "given", token: envToken };
  if (tokenFile !== null) return { kind: "file", path: tokenFile, required: true };
  return { kind: "file", path: dataPaths(dataDir).tokenFile, required: false };
}
