import { checkBindAddress, InsecureBindError, serverSecurity, serverSettings, withTokenOfFlag } from "@headroom/rpc";
import {
  ConfigError,
  type ConfigProblem,
  type ConfigValues,
  formatHostPort,
  type HostPort,
  loadConfig,
} from "@headroom/runtime";
import type { orchestratorConfig } from "@headroom/orchestrator";
import type { registryConfig } from "@headroom/registry";
import type { PartConfigInput } from "./parts.ts";

type ServiceSchema = typeof registryConfig | typeof orchestratorConfig;
type AddressOption = ServiceSchema["grpcAddr" | "httpAddr"];
type Settings = ConfigValues<typeof serverSettings>;

/** With a token at hand `serverSecurity` reads none from a file, nor writes one. */
const standInToken = "0".repeat(64);

/** What is wrong with a service's token, TLS and addresses seen together, as its start would say; no file is read or written. */
export async function checkSecurity(schema: ServiceSchema, input: PartConfigInput): Promise<readonly ConfigProblem[]> {
  const { grpcAddr, httpAddr } = schema;
  const loaded = loadConfig({ ...serverSettings, grpcAddr, httpAddr }, input);
  if (loaded.kind === "invalid") return loaded.problems;
  const values = withTokenOfFlag(loaded);
  const problems = await checkAccess(values);
  if (problems.length > 0) return problems;
  return [
    ...checkAddress("grpcAddr", grpcAddr, values.grpcAddr, values),
    ...checkAddress("httpAddr", httpAddr, values.httpAddr, values),
  ];
}

async function checkAccess(settings: Settings): Promise<readonly ConfigProblem[]> {
  try {
    await serverSecurity({ ...settings, token: settings.token ?? standInToken }, "up");
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function checkAddress(
  setting: "grpcAddr" | "httpAddr",
  { env, flag, allowed }: AddressOption,
  address: HostPort,
  { tlsCertFile, allowPlaintext }: Settings,
): readonly ConfigProblem[] {
  try {
    checkBindAddress({ host: address.host, tls: tlsCertFile !== null, token: true, allowPlaintext });
    return [];
  } catch (error) {
    if (!(error instanceof InsecureBindError)) throw error;
    const example = formatHostPort({ host: "127.0.0.1", port: address.port });
    const given = formatHostPort(address);
    return [{ setting, env, flag, given, allowed, example, message: `${env}=${given}: ${error.message}` }];
  }
}
