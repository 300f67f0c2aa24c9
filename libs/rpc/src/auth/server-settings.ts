/** The settings that every server of ours has, and what they come to: one declaration for both services. */
import {
  ConfigError,
  type ConfigSource,
  dataPaths,
  defaultDataDir,
  type Logger,
  logLevels,
  option,
} from "@headroom/runtime";
import type { AuthPolicy } from "./auth-policy.ts";
import type { ServerTls } from "./tls.ts";
import { createTokenAuth } from "./token-auth.ts";
import { tokenForm, tokenProblem } from "./token-form.ts";
import { ensureTokenFile, tokenFileBesideToken } from "./token-file.ts";

/** Spread into a service's schema. */
export const serverSettings = {
  dataDir: option.path({
    env: "HEADROOM_DATA_DIR",
    flag: "data-dir",
    help: "Folder of token and logs; by default the user's own data folder.",
    default: null,
  }),
  token: option.string({
    env: "HEADROOM_TOKEN",
    help: `The token itself, in place of a file (--token-file wins over it): ${tokenForm}.`,
    default: null,
    secret: true,
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
    help: "CA in PEM that must have signed the certificates of clients (mutual TLS); with certificate and key only.",
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
    help: "How long calls in progress may take when the service stops; no more than 10, for a whole stop may take 25.",
    default: 5,
    min: 0,
    // With the last writes (10 s) and the close of the database (2 s) it stays below the 25 s of `runUntilSignal`.
    max: 10,
  }),
  logLevel: option.oneOf(logLevels, {
    env: "HEADROOM_LOG_LEVEL",
    flag: "log-level",
    help: "Least level of log records.",
    default: "info",
  }),
} as const;

/** The values of `serverSettings` that decide who may call. */
export interface ServerSettings {
  readonly dataDir: string | null;
  readonly token: string | null;
  readonly tokenFile: string | null;
  /** See `withTokenOfFlag`. */
  readonly tokenPassedOver?: string | null;
  readonly tlsCertFile: string | null;
  readonly tlsKeyFile: string | null;
  readonly tlsClientCaFile: string | null;
  readonly allowPlaintext: boolean;
}

/** What `createRpcServer` and `createHttpServer` want to know. */
export interface ServerSecurity {
  readonly auth: AuthPolicy;
  readonly allowPlaintext: boolean;
  readonly tls?: ServerTls;
}

/**
 * What was read, without a token of the environment where a flag names a file: flags win over the environment. It is kept aside as
 * `tokenPassedOver`, for whoever set both may have forgotten one of them.
 */
export function withTokenOfFlag<V extends { readonly token: string | null }>({
  values,
  sources,
}: {
  readonly values: V;
  readonly sources: { readonly tokenFile: ConfigSource };
}): V & Pick<ServerSettings, "tokenPassedOver"> {
  return sources.tokenFile === "flag" ? { ...values, token: null, tokenPassedOver: values.token } : values;
}

/** Where the token and the logs lie. */
export function serverPaths(
  settings: Pick<ServerSettings, "dataDir" | "tokenFile">,
  service: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): { readonly tokenFile: string; readonly logFile: string } {
  const paths = dataPaths(settings.dataDir ?? defaultDataDir(env));
  return { tokenFile: settings.tokenFile ?? paths.tokenFile, logFile: `${paths.logsDir}/${service}.log` };
}

/**
 * The token to ask callers for; a file that is missing is written. The services of one Headroom share it, and sign with it what
 * agents show (`createAgentCredentials`). Warns where HEADROOM_TOKEN is another token than that of the file. Throws TokenFileError, ConfigError.
 */
export async function serverSecurity(
  settings: ServerSettings,
  service: string,
  logger?: Logger,
): Promise<{ readonly token: string; readonly security: ServerSecurity }> {
  const tls = tlsOf(settings);
  const { tokenFile } = serverPaths(settings, service);
  const problem = tokenProblem(settings.token);
  if (problem !== null) throw new ConfigError([problem]);
  const token = settings.token ?? (await tokenOfFile(tokenFile, settings.tokenPassedOver ?? null, logger));
  const auth = createTokenAuth(settings.token === null ? { token, tokenFile } : { token });
  return { token, security: { auth, allowPlaintext: settings.allowPlaintext, ...(tls !== undefined && { tls }) } };
}

async function tokenOfFile(path: string, passedOver: string | null, logger: Logger | undefined): Promise<string> {
  if (passedOver === null) return ensureTokenFile(path);
  const { token, warning } = await tokenFileBesideToken(path, passedOver);
  if (warning !== null) logger?.warn({ token_file: path }, warning);
  return token;
}

/** The TLS files, or undefined for plaintext. Throws ConfigError when one of certificate and key is set alone, or the CA of clients without them. */
function tlsOf(settings: ServerSettings): ServerTls | undefined {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: clientCaFile } = settings;
  if (certFile === null && keyFile === null) {
    if (clientCaFile === null) return undefined;
    // Whoever set it believes that clients are asked for certificates.
    throw wrongSetting(
      "tlsCertFile",
      "a path",
      "set these two as well, or take the CA of clients away",
      "HEADROOM_TLS_CLIENT_CA_FILE (--tls-client-ca-file) asks for client certificates only where TLS is on, by HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE",
    );
  }
  if (certFile === null || keyFile === null) {
    const missing = certFile === null ? "tlsCertFile" : "tlsKeyFile";
    throw wrongSetting(
      missing,
      "a path",
      "set both, or neither",
      "HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE belong together",
    );
  }
  return { certFile, keyFile, ...(clientCaFile !== null && { clientCaFile }) };
}

/** What only shows when settings are seen together. */
function wrongSetting(
  setting: "tlsCertFile" | "tlsKeyFile",
  allowed: string,
  example: string,
  problem: string,
): ConfigError {
  const { env, flag } = serverSettings[setting];
  return new ConfigError([{ setting, env, flag, given: null, allowed, example, message: `${problem}: ${example}` }]);
}
