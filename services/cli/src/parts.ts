import { agentOptions, loadAgentConfig, runAgent } from "@headroom/agent";
import { orchestratorConfig, runOrchestrator } from "@headroom/orchestrator";
import { registryConfig, runRegistry } from "@headroom/registry";
import {
  ConfigError,
  type ConfigProblem,
  type ConfigSchema,
  formatHostPort,
  type HostPort,
  loadConfig,
} from "@headroom/runtime";
import { checkSecurity } from "./check-security.ts";
import { type RestScheme, restScheme } from "./rest-scheme.ts";
import { isSupervised } from "./supervised.ts";

export type PartName = "registry" | "orchestrator" | "agent";

/** What a part says of itself once it runs. */
export interface PartFacts {
  /** Where it is reached; null for an agent, which nobody calls. */
  readonly grpc: string | null;
  /** The URL of REST; null for an agent. */
  readonly http: string | null;
  /** Of an agent. */
  readonly agentId: string | null;
}

export interface RunPartOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By the flag's name in kebab-case. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Called once it does its work. */
  readonly onReady: (facts: PartFacts) => void;
  /** Of an agent: a line for a person while it is not connected, and one when it is. */
  readonly onConnection?: (line: string) => void;
  /** Another way to stop it gracefully, beside signals. */
  readonly until?: AbortSignal;
  /** Short lines for people on stderr. */
  readonly pretty: boolean;
}

export interface PartConfigInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags?: Readonly<Record<string, unknown>>;
}

/** One of the programs that Headroom consists of. */
export interface Part {
  readonly name: PartName;
  readonly summary: string;
  readonly schema: ConfigSchema;
  /** Resolves with the exit code when it was told to stop. Rejects when it cannot start. */
  run(options: RunPartOptions): Promise<number>;
  /** What is wrong with its settings; reads, and starts nothing. */
  check(input: PartConfigInput): Promise<readonly ConfigProblem[]>;
}

interface Addressed {
  readonly grpcAddress: HostPort | null;
  readonly httpAddress: HostPort | null;
}

function factsOf(service: Addressed, scheme: RestScheme): PartFacts {
  return {
    agentId: null,
    grpc: service.grpcAddress === null ? null : formatHostPort(service.grpcAddress),
    http: service.httpAddress === null ? null : `${scheme}://${formatHostPort(service.httpAddress)}`,
  };
}

async function checkService(
  schema: typeof registryConfig | typeof orchestratorConfig,
  input: PartConfigInput,
): Promise<readonly ConfigProblem[]> {
  const loaded = loadConfig<ConfigSchema>(schema, input);
  return loaded.kind === "invalid" ? loaded.problems : checkSecurity(schema, input);
}

const registry: Part = {
  name: "registry",
  summary: "the service that knows where is room",
  schema: registryConfig,
  run: ({ onReady, ...options }) =>
    runRegistry({ ...options, onReady: (service) => onReady(factsOf(service, restScheme(options))) }),
  check: (input) => checkService(registryConfig, input),
};

const orchestrator: Part = {
  name: "orchestrator",
  summary: "the service that knows what work waits",
  schema: orchestratorConfig,
  run: ({ onReady, ...options }) =>
    runOrchestrator({ ...options, onReady: (service) => onReady(factsOf(service, restScheme(options))) }),
  check: (input) => checkService(orchestratorConfig, input),
};

const agent: Part = {
  name: "agent",
  summary: "the program that runs work on this machine",
  schema: agentOptions,
  run: ({ onReady, ...options }) =>
    runAgent({
      ...options,
      // That of a `headroom up` that was killed ends by itself; it is still ending what it runs when the next one is started at once.
      waitsForPredecessor: isSupervised(options.env),
      onReady: (agentId) => onReady({ grpc: null, http: null, agentId }),
    }),
  async check(input) {
    try {
      await loadAgentConfig(input);
      return [];
    } catch (error) {
      if (error instanceof ConfigError) return error.problems;
      throw error;
    }
  },
};

export const parts: Readonly<Record<PartName, Part>> = { registry, orchestrator, agent };
