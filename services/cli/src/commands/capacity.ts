import { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { fieldLine } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";
import { agentIdOf } from "../ids.ts";
import { pairsOf } from "../options.ts";
import { colourOfState } from "../output/colour.ts";
import { amount, gbOf, instant, percent, shortId, span } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { timeOf, word } from "../output/words.ts";
import { readPages, sayLeftOut } from "../pages.ts";
import { declaredNotes, obstaclesOf } from "./agent-notes.ts";
import { capacityFacts } from "./agents.ts";

export interface CapacityOptions {
  readonly minGpuVramGb?: number;
  readonly minCpuCores?: number;
  readonly minMemoryGb?: number;
  readonly minGpuVramPerCardGb?: number;
  readonly minGpuCount?: number;
  readonly maxGpuVramGb?: number;
  readonly maxCpuCores?: number;
  readonly maxMemoryGb?: number;
  readonly gpuModel?: readonly string[];
  readonly label?: readonly string[];
  readonly pool?: string;
  readonly sort?: string;
  readonly limit?: number;
}

const shortFields: Readonly<Record<string, string>> = {
  cpu: "cpu_cores_available",
  load: "cpu_load",
  memory: "memory_available_gb",
  vram: "gpu_vram_available_gb",
  host: "hostname",
  agent: "agent_id",
};
/** What else the service sorts by. */
const otherFields = ["cpu_cores_physical", "memory_total_gb", "gpu_vram_total_gb", "timestamp", "pool_name"];
const textFields: ReadonlySet<string> = new Set(["hostname", "agent_id", "pool_name", "gpu_type"]);

/** `--sort` as the service's order_by: figures largest first, names from A; `:asc` and `:desc` say otherwise. Exported for tests. */
export function orderByOf(sort: string): string {
  const [given = "", direction] = sort.trim().split(/[:\s]+/, 2);
  const field = shortFields[given] ?? given.replaceAll("-", "_");
  const descending = direction === undefined ? !textFields.has(field) : direction.toLowerCase() === "desc";
  return descending ? `${field} desc` : field;
}

/** In the words of this command; the service's own are about order_by. */
function sortHelp(sort: string): string {
  const names = Object.keys(shortFields).join(", ");
  return `--sort ${sort}: there is no such field; write one of ${names}, ${otherFields.join(", ")}`;
}

/** `headroom capacity`: the agents with room. */
export function capacityList(options: CapacityOptions): Run {
  return async (context) => {
    const { capacity } = context.client();
    const answer = await readPages(options.limit ?? 100, "agents", async (page) =>
      need(await capacity.listAvailable({ ...constraintsOf(options), ...page }), (violation) =>
        violation.field === "order_by" ? sortHelp(options.sort ?? "") : fieldLine(violation),
      ),
    );
    if (context.isJson) context.printJson("registry", "ListAvailableCapacityResponse", answer);
    else if (answer.agents.length === 0) context.say((await whyNobody(context, options.pool)) ?? nobodyHas(options));
    else printCapacity(context, answer);
    sayLeftOut(context, answer.agents.length, answer.totalSize);
    return exitCodes.done;
  };
}

/** When no desktop takes work, whatever it has free: what keeps work from each. null: some do, or it cannot be asked. */
async function whyNobody(context: CommandContext, pool: string | undefined): Promise<string | null> {
  const answer = await context.client().fleet.list({ poolName: pool ?? "", pageSize: 1_000 });
  if (answer.kind === "error" || answer.value.nextPageToken !== "") return null;
  const where = pool === undefined ? "" : ` in pool ${pool}`;
  const desktops = answer.value.agents.filter(
    ({ agentType }) => agentType === wire.AgentType.AGENT_TYPE_DESKTOP || agentType === 0,
  );
  if (desktops.length === 0) return `no desktop is known${where}; headroom agents list shows all agents`;
  const reasons = new Map<string, number>();
  for (const desktop of desktops) {
    const why = keepsWorkAway(desktop);
    if (why === null) return null;
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  const parts = [...reasons].map(
    ([why, desktopCount]) => `${desktopCount} ${desktopCount === 1 ? "is" : "are"} ${why}`,
  );
  return `no desktop${where} takes work: ${parts.join(", ")}; headroom agents list shows each`;
}

/** The first that holds of what leaves an agent out of ListAvailableCapacity; null: nothing does but its figures. */
function keepsWorkAway(agent: wire.Agent): string | null {
  const status = word("AgentStatus", agent.status);
  if (status !== "online") return status === "unknown" ? "not heard of since the registry started" : status;
  if (agent.draining) return "being drained";
  if (agent.cordoned) return "cordoned";
  if (agent.capacity?.ownerHold === true) return "held by the owner";
  return agent.probationUntil === undefined ? null : "on probation";
}

/** The service asks for one core where nobody says how many. */
function nobodyHas({ limit: _limit, sort: _sort, ...constraints }: CapacityOptions): string {
  const isAsked = Object.values(constraints).some((given) => given !== undefined);
  return isAsked
    ? "no online desktop has that much free; headroom agents list shows all agents"
    : "no online desktop has a whole core free; headroom agents list shows what each has";
}

function constraintsOf(options: CapacityOptions): Partial<wire.ListAvailableCapacityRequest> {
  return {
    minGpuVramGb: options.minGpuVramGb ?? 0,
    minMemoryGb: options.minMemoryGb ?? 0,
    minGpuVramPerCardGb: options.minGpuVramPerCardGb ?? 0,
    minGpuCount: options.minGpuCount ?? 0,
    gpuModels: [...(options.gpuModel ?? [])],
    labels: pairsOf(options.label),
    poolName: options.pool ?? "",
    orderBy: options.sort === undefined ? "" : orderByOf(options.sort),
    ...(options.minCpuCores !== undefined && { minCpuCores: options.minCpuCores }),
    ...(options.maxGpuVramGb !== undefined && { maxGpuVramGb: options.maxGpuVramGb }),
    ...(options.maxCpuCores !== undefined && { maxCpuCores: options.maxCpuCores }),
    ...(options.maxMemoryGb !== undefined && { maxMemoryGb: options.maxMemoryGb }),
  };
}

function printCapacity(context: CommandContext, answer: wire.ListAvailableCapacityResponse): void {
  context.printTable(
    ["AGENT", "HOST", "STATUS", "POOL", "CPU FREE", "LOAD", "MEMORY FREE", "VRAM FREE", "GPU", "NOTES"],
    answer.agents.map(capacityRow),
  );
}

function capacityRow(agent: wire.AgentCapacity): Cell[] {
  const status = word("AgentStatus", agent.status);
  return [
    shortId(agent.agentId),
    agent.hostname,
    { text: status, colour: colourOfState(status) },
    agent.poolName,
    `${amount(agent.cpuCoresAvailable)} / ${amount(agent.cpuCoresPhysical)}`,
    percent(agent.cpuLoad),
    gbOf(agent.memoryAvailableGb, agent.memoryTotalGb),
    gbOf(agent.gpuVramAvailableGb, agent.gpuVramTotalGb),
    agent.gpuType === "" ? "-" : `${agent.gpus.length} × ${agent.gpuType}`,
    [...obstaclesOf(agent), ...declaredNotes(agent)].join(", "),
  ];
}

/** `headroom capacity AGENT_ID`: one agent, whatever its state. */
export function capacityGet(given: string): Run {
  return async (context) => {
    const answer = need(await context.client().capacity.getAgent(await agentIdOf(context, given)));
    if (context.isJson) context.printJson("registry", "GetAgentCapacityResponse", answer);
    else printAgentCapacity(context, answer);
    return exitCodes.done;
  };
}

function printAgentCapacity(context: CommandContext, answer: wire.GetAgentCapacityResponse): void {
  const status = word("AgentStatus", answer.status);
  context.printFacts([
    ["agent", answer.agentId],
    ["host", answer.hostname],
    ["status", { text: status, colour: colourOfState(status) }],
    ["pool", answer.poolName],
    ["notes", obstaclesOf(answer).join(", ") || "-"],
    ...capacityFacts(answer),
    ...expectedFacts(timeOf(answer.expectedAvailableAt), context.io.ports.clock.now()),
    ["sampled", instant(timeOf(answer.timestamp))],
  ]);
}

/** When the first of what runs there is expected to end; an end that is overdue comes as the time of the answer. Nothing where it is unknown. */
function expectedFacts(atMs: number | null, nowMs: number): [string, Cell][] {
  if (atMs === null) return [];
  const when = atMs <= nowMs ? "at any moment" : `in ${span(atMs - nowMs)}, at ${instant(atMs)}`;
  return [["expected", `more room ${when}`]];
}
