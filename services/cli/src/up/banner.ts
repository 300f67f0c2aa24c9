import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { wire } from "@headroom/client";
import { amount, gb } from "../output/format.ts";
import { renderFacts } from "../output/table.ts";
import type { Paint } from "../output/colour.ts";
import type { RestScheme } from "../rest-scheme.ts";
import { version } from "../version.ts";

export interface UpFacts {
  readonly registryGrpc: string;
  readonly registryHttp: string;
  readonly orchestratorGrpc: string;
  readonly orchestratorHttp: string;
  readonly restScheme: RestScheme;
  /** How to connect; null with a DATABASE_URL of somebody else, which may hold a password. */
  readonly databaseUrl: string | null;
  readonly agentId: string | null;
  /** null when the registry does not tell it in time. */
  readonly agent: wire.GetAgentCapacityResponse | null;
  readonly dataDir: string;
  /** Other terminals find the data folder by themselves. */
  readonly isDefaultDataDir: boolean;
  /** null: it stands in the environment. */
  readonly tokenFile: string | null;
  readonly logsDir: string;
  readonly tookMs: number;
  /** The program's own file. */
  readonly entry: string;
  readonly cwd: string;
}

/** What runs where, and what to type next. */
export function renderBanner(facts: UpFacts, paint: Paint): string {
  const database =
    facts.databaseUrl === null
      ? "as DATABASE_URL says, schemas registry and orchestrator"
      : `psql "${facts.databaseUrl}"  (schemas registry, orchestrator)`;
  const table = renderFacts(
    [
      ["registry", `gRPC ${facts.registryGrpc}   REST ${facts.restScheme}://${facts.registryHttp}`],
      ["orchestrator", `gRPC ${facts.orchestratorGrpc}   REST ${facts.restScheme}://${facts.orchestratorHttp}`],
      ["PostgreSQL", database],
      ["this machine", machineText(facts)],
      ["data", facts.dataDir],
      ["token", facts.tokenFile ?? "as HEADROOM_TOKEN says"],
      // Five files of 20 MB for each of the three services and five of 5 MB for PostgreSQL; see createLogger and startEmbedded.
      ["logs", `${facts.logsDir} (at most 100 MB for each of the three, 25 MB for PostgreSQL)`],
    ],
    paint,
  );
  const next = nextCommands(facts).map((line) => `  ${line}`);
  return [
    paint("bold", `Headroom ${version} runs on this machine, started in ${(facts.tookMs / 1_000).toFixed(1)} s.`),
    "",
    table.trimEnd(),
    "",
    "In a second terminal:",
    ...next,
    "",
    "Ctrl-C stops everything; the data stays.",
    "",
  ].join("\n");
}

function machineText({ agent, agentId }: UpFacts): string {
  if (agent === null) return `agent ${agentId ?? "(unknown)"}, which has not told its figures yet`;
  const models = new Map<string, number>();
  for (const { model } of agent.gpus) models.set(model, (models.get(model) ?? 0) + 1);
  const cards = [...models].map(([model, cardCount]) => `${cardCount} × ${model}`).join(", ");
  const gpu = cards === "" ? "no GPU" : `${cards} (${gb(agent.gpuVramTotalGb)} VRAM)`;
  const declared = agent.declared.length === 0 ? "" : `; declared: ${agent.declared.join(", ")}`;
  return `agent ${agent.agentId}: ${amount(agent.cpuCoresPhysical)} cores, ${gb(agent.memoryTotalGb)} memory, ${gpu}${declared}`;
}

function nextCommands({ entry, cwd, dataDir, isDefaultDataDir }: UpFacts): string[] {
  const examples = examplesFolder(entry, cwd);
  const prefix = isDefaultDataDir ? "" : `HEADROOM_DATA_DIR=${shellWord(dataDir)} `;
  const commands = [`${prefix}npx headroom capacity`];
  if (examples !== null) {
    commands.push(
      `${prefix}npx headroom plan dispatch ${shellWord(`${examples}/larger-than-this-machine.yaml`)} --watch`,
    );
  }
  commands.push(`${prefix}npx headroom queue`);
  return commands;
}

/** As it is typed from here; null when there is none. */
function examplesFolder(entry: string, cwd: string): string | null {
  if (existsSync(join(cwd, "examples", "larger-than-this-machine.yaml"))) return "examples";
  const besideProgram = join(dirname(dirname(entry)), "examples");
  return existsSync(join(besideProgram, "larger-than-this-machine.yaml")) ? besideProgram : null;
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
