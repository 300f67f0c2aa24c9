/** TLS towards the services: what the command line and its environment say of it. */
import { connectionSettings } from "@headroom/client";
import type { ClientTls } from "@headroom/rpc";
import { ConfigError, defineConfig, loadConfigOrThrow, option } from "@headroom/runtime";
import { CliError } from "./errors/cli-error.ts";

/** As options of the whole program. */
export interface TlsOptions {
  readonly tlsCaFile?: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
}

type TlsSetting = keyof TlsOptions;

export const tlsSettings = defineConfig({
  tlsCaFile: connectionSettings.tlsCaFile,
  // HEADROOM_TLS_CERT_FILE is what a service on the same machine serves with.
  tlsCertFile: option.path({
    env: "HEADROOM_TLS_CLIENT_CERT_FILE",
    flag: "tls-cert-file",
    help: "Certificate in PEM to show to services that ask for one (mutual TLS)",
    default: null,
  }),
  tlsKeyFile: option.path({
    env: "HEADROOM_TLS_CLIENT_KEY_FILE",
    flag: "tls-key-file",
    help: "Private key of that certificate in PEM",
    default: null,
  }),
});

const optionOf: Readonly<Record<TlsSetting, string>> = {
  tlsCaFile: "--tls-ca-file",
  tlsCertFile: "--tls-cert-file",
  tlsKeyFile: "--tls-key-file",
};

/** The files of the connection; null: plaintext. The CA turns TLS on. Throws ConfigError for a certificate without its key or without a CA. */
export function clientTlsOf(env: Readonly<Record<string, string | undefined>>, options: TlsOptions): ClientTls | null {
  const { values, sources } = loadConfigOrThrow(tlsSettings, { env, flags: tlsFlagsOf(options) });
  const { tlsCaFile: caFile, tlsCertFile: certFile, tlsKeyFile: keyFile } = values;
  const nameOf = (setting: TlsSetting): string =>
    sources[setting] === "flag" ? optionOf[setting] : tlsSettings[setting].env;
  if (certFile === null && keyFile !== null) {
    throw missing("tlsCertFile", nameOf("tlsKeyFile"), "name the certificate of the key");
  }
  if (certFile !== null && keyFile === null) {
    throw missing("tlsKeyFile", nameOf("tlsCertFile"), "name the private key of the certificate");
  }
  if (certFile !== null && caFile === null) {
    throw missing("tlsCaFile", nameOf("tlsCertFile"), "name the CA that signed the services' certificates");
  }
  if (caFile === null) return null;
  return {
    caFile,
    ...(certFile !== null && keyFile !== null && { certFile, keyFile }),
    names: { caFile: nameOf("tlsCaFile"), certFile: nameOf("tlsCertFile"), keyFile: nameOf("tlsKeyFile") },
  };
}

/** By the flag's name in kebab-case. */
export function tlsFlagsOf({ tlsCaFile, tlsCertFile, tlsKeyFile }: TlsOptions): Readonly<Record<string, unknown>> {
  return { "tls-ca-file": tlsCaFile, "tls-cert-file": tlsCertFile, "tls-key-file": tlsKeyFile };
}

/** For a command that runs services: what it was given and does not take would leave it in plaintext, unseen. Throws CliError. */
export function refuseTlsOptions(command: string, options: TlsOptions, taken: ReadonlySet<string | undefined>): void {
  const given = Object.entries(tlsFlagsOf(options)).find(([flag, value]) => value !== undefined && !taken.has(flag));
  if (given === undefined) return;
  throw new CliError({
    message: `headroom ${command} does not take --${given[0]}`,
    reason: "INVALID_OPTION",
    wayOut:
      "services take their TLS files from HEADROOM_TLS_CERT_FILE, HEADROOM_TLS_KEY_FILE and HEADROOM_TLS_CLIENT_CA_FILE; headroom registry --help tells more",
  });
}

function missing(setting: TlsSetting, given: string, wayOut: string): ConfigError {
  const { env, flag, allowed } = tlsSettings[setting];
  const message = `${given} is set without ${optionOf[setting]} (${env}): ${wayOut}`;
  return new ConfigError([{ setting, env, flag, given: null, allowed, example: wayOut, message }]);
}
