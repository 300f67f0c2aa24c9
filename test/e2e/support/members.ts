import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { agentEnvironment, type AgentDeclaration } from "./agent-declaration.ts";
import { freePorts } from "./free-ports.ts";
import { serviceProcess, type ServiceProcess } from "./service-process.ts";

/** A registry or an orchestrator. */
export interface ServiceMember extends ServiceProcess {
  readonly dataDir: string;
  readonly grpcAddress: string;
  readonly httpAddress: string;
}

export interface AgentMember extends ServiceProcess {
  readonly dataDir: string;
  readonly declaration: AgentDeclaration;
}

/** What all processes of a cluster share. */
export interface MemberSettings {
  /** The built command. */
  readonly command: string;
  readonly tokenFile: string;
  /** For what processes say on stdout and stderr: not on their own disks. */
  readonly dir: string;
  /** The data folder of a process, by its name. */
  readonly homeOf: (name: string) => string;
  /** Wins over what stands here. */
  readonly env: Readonly<Record<string, string>>;
}

/** Beats and graces short, so that tests do not wait for them; everything logged, so that a failing one explains itself. */
const fastSettings = {
  HEADROOM_LOG_LEVEL: "debug",
  HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "1",
  HEADROOM_OFFLINE_GRACE_SECONDS: "5",
} as const;

/** A registry, or an orchestrator that asks the registry at `way.registry`. Not started. */
export async function serviceMember(
  settings: MemberSettings,
  part: "registry" | "orchestrator",
  index: number,
  way: { readonly databaseUrl: string; readonly registry?: string },
): Promise<ServiceMember> {
  const [grpcPort, httpPort] = await freePorts(2);
  const grpcAddress = `127.0.0.1:${grpcPort}`;
  const httpAddress = `127.0.0.1:${httpPort}`;
  const dataDir = settings.homeOf(`${part}-${index + 1}`);
  mkdirSync(dataDir, { recursive: true });
  const member = serviceProcess({
    name: `${part}-${index + 1}`,
    argv: [process.execPath, settings.command, part],
    env: {
      ...fastSettings,
      DATABASE_URL: way.databaseUrl,
      HEADROOM_TOKEN_FILE: settings.tokenFile,
      HEADROOM_DATA_DIR: dataDir,
      [`HEADROOM_${part.toUpperCase()}_GRPC_ADDR`]: grpcAddress,
      [`HEADROOM_${part.toUpperCase()}_HTTP_ADDR`]: httpAddress,
      ...(way.registry !== undefined && { HEADROOM_REGISTRY_ADDR: way.registry }),
      ...settings.env,
    },
    outputFile: join(settings.dir, `${part}-${index + 1}.output`),
    logFile: join(dataDir, "logs", `${part}.log`),
  });
  return Object.assign(member, { dataDir, grpcAddress, httpAddress });
}

/** An agent with a data folder of its own. Not started. */
export function agentMember(
  settings: MemberSettings,
  index: number,
  declaration: AgentDeclaration,
  addresses: { readonly registry: string; readonly orchestrator: string },
): AgentMember {
  const dataDir = settings.homeOf(`agent-${index + 1}`);
  mkdirSync(dataDir, { recursive: true });
  const member = serviceProcess({
    name: `agent-${index + 1}`,
    argv: [process.execPath, settings.command, "agent"],
    env: {
      ...fastSettings,
      HEADROOM_TOKEN_FILE: settings.tokenFile,
      HEADROOM_DATA_DIR: dataDir,
      HEADROOM_REGISTRY_ADDR: addresses.registry,
      HEADROOM_ORCHESTRATOR_ADDR: addresses.orchestrator,
      ...agentEnvironment(declaration),
      ...settings.env,
    },
    outputFile: join(settings.dir, `agent-${index + 1}.output`),
    logFile: join(dataDir, "logs", "agent.log"),
  });
  return Object.assign(member, { dataDir, declaration });
}
