import type { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { agentIdOf } from "../ids.ts";
import { colourOfState } from "../output/colour.ts";
import { age, amount, count, gb, gbOf, shortId } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { timeOf, word } from "../output/words.ts";
import { readPages, sayLeftOut } from "../pages.ts";
import { type Capacity, declaredNotes, isOnline, obstaclesOfAgent } from "./agent-notes.ts";

export interface AgentsListOptions {
  readonly status?: readonly wire.AgentStatus[];
  readonly pool?: string;
  readonly limit: number;
}

/** `headroom agents list` */
export function agentsList(options: AgentsListOptions): Run {
  return async (context) => {
    const { fleet } = context.client();
    const answer = await readPages(options.limit, "agents", async (page) =>
      need(await fleet.list({ statuses: [...(options.status ?? [])], poolName: options.pool ?? "", ...page })),
    );
    if (context.isJson) context.printJson("registry", "ListAgentsResponse", answer);
    else if (answer.agents.length === 0) context.say(nobodyListed(options));
    else printAgents(context, answer);
    sayLeftOut(context, answer.agents.length, answer.totalSize);
    return exitCodes.done;
  };
}

/** An empty fleet is told by how to begin one; of a part of it, that it is a part. */
function nobodyListed({ status = [], pool }: AgentsListOptions): string {
  const where = pool === undefined ? "" : ` in pool ${pool}`;
  const all = "headroom agents list shows all agents";
  if (status.length > 0)
    return `no agent${where} is ${status.map((each) => word("AgentStatus", each)).join(" or ")}; ${all}`;
  if (pool !== undefined) return `no agent is known${where}; ${all}`;
  return "no agent is known; start one with: headroom agent (headroom up starts one for this machine)";
}

function printAgents(context: CommandContext, answer: wire.ListAgentsResponse): void {
  const now = context.io.ports.clock.now();
  context.printTable(
    ["AGENT", "HOST", "STATUS", "SINCE", "POOL", "CPU FREE", "MEMORY FREE", "VRAM FREE", "RUNS", "NOTES"],
    answer.agents.map((agent) => agentRow(agent, now)),
  );
}

function agentRow(agent: wire.Agent, nowMs: number): Cell[] {
  const status = word("AgentStatus", agent.status);
  return [
    shortId(agent.agentId),
    agent.hostname,
    { text: status, colour: colourOfState(status) },
    age(timeOf(agent.statusSince), nowMs),
    agent.poolName,
    ...freeCells(agent),
    String(agent.attemptIds.length),
    [...obstaclesOfAgent(agent), ...declaredNotes(agent.capacity)].join(", "),
  ];
}

/** CPU, memory and VRAM. Only an online agent has anything to give: the last figures of another would be read as room. */
function freeCells({ capacity, status }: wire.Agent): Cell[] {
  if (capacity === undefined || !isOnline(status)) return ["-", "-", "-"];
  return [
    `${amount(capacity.cpuCoresAvailable)} / ${amount(capacity.cpuCoresPhysical)}`,
    gbOf(capacity.memoryAvailableGb, capacity.memoryTotalGb),
    gbOf(capacity.gpuVramAvailableGb, capacity.gpuVramTotalGb),
  ];
}

/** `headroom agents get ID` */
export function agentsGet(given: string): Run {
  return async (context) => {
    const agent = need(await context.client().fleet.get(await agentIdOf(context, given)));
    if (context.isJson) context.printJson("registry", "GetAgentResponse", { agent });
    else printAgent(context, agent);
    return exitCodes.done;
  };
}

/** `headroom agents cordon ID` */
export function agentsCordon(given: string, reason: string): Run {
  return async (context) => {
    const agent = need(await context.client().fleet.cordon(await agentIdOf(context, given), reason));
    if (context.isJson) context.printJson("registry", "CordonAgentResponse", { agent });
    else {
      const running = agent.attemptIds.length;
      const rest = running === 0 ? "nothing runs there" : `${count(running, "task")} there go on`;
      context.say(`${agent.hostname} (${agent.agentId}) is cordoned: no new work; ${rest}`);
    }
    return exitCodes.done;
  };
}

/** `headroom agents uncordon ID` */
export function agentsUncordon(given: string): Run {
  return async (context) => {
    const agent = need(await context.client().fleet.uncordon(await agentIdOf(context, given)));
    if (context.isJson) context.printJson("registry", "UncordonAgentResponse", { agent });
    else context.say(`${agent.hostname} (${agent.agentId}) takes work again`);
    return exitCodes.done;
  };
}

/** `headroom agents confirm-losses` */
export function agentsConfirmLosses(): Run {
  return async (context) => {
    const answer = need(await context.client().fleet.confirmLosses());
    if (context.isJson) context.printJson("registry", "ConfirmLossesResponse", answer);
    else context.say(confirmedText(answer));
    return exitCodes.done;
  };
}

/** The answer counts those of one registry process; the word reaches the others through the store, whatever that one keeps. */
function confirmedText({ agentsHeld }: wire.ConfirmLossesResponse): string {
  if (agentsHeld === 0) return "this registry process keeps none; any other that does gives them up within a second";
  const kept = `${count(agentsHeld, "agent")} kept suspect by this registry process: now given up as offline`;
  return `${kept}; any other process that keeps some gives them up within a second`;
}

/** `headroom agents remove ID` */
export function agentsRemove(given: string): Run {
  return async (context) => {
    const agentId = await agentIdOf(context, given);
    need(await context.client().fleet.remove(agentId));
    if (context.isJson) context.printJson("registry", "RemoveAgentResponse", {});
    else context.say(`agent ${agentId} is forgotten`);
    return exitCodes.done;
  };
}

function printAgent(context: CommandContext, agent: wire.Agent): void {
  const now = context.io.ports.clock.now();
  const status = word("AgentStatus", agent.status);
  const since = age(timeOf(agent.statusSince), now);
  const reason = agent.statusReason === "" ? "" : ` (${agent.statusReason})`;
  const facts: [string, Cell][] = [
    ["agent", agent.agentId],
    ["host", agent.hostname],
    ["status", { text: `${status} for ${since}${reason}`, colour: colourOfState(status) }],
    ["type", word("AgentType", agent.agentType)],
    ["pool", agent.poolName],
    [
      "labels",
      Object.entries(agent.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(", ") || "-",
    ],
    ["last beat", `${age(timeOf(agent.lastBeatAt), now)} ago`],
    ["program", `${agent.version} on ${agent.platform}`],
    ["notes", obstaclesOfAgent(agent).join(", ") || "-"],
    ["runs", agent.attemptIds.join(", ") || "nothing"],
  ];
  if (agent.capacity !== undefined) facts.push(...capacityFacts(agent.capacity));
  context.printFacts(facts);
}

/** Free, promised and total of one agent, card by card; of one that is not online only the total. */
export function capacityFacts(capacity: Capacity): [string, Cell][] {
  const reserved = capacity.reserved;
  const online = isOnline(capacity.status);
  const ofTotalGb = (available: number, total: number) =>
    online ? `${gb(available)} of ${gb(total)} free` : gb(total);
  const cores = `${amount(capacity.cpuCoresPhysical)} cores`;
  const facts: [string, Cell][] = [
    [
      "CPU",
      online
        ? `${amount(capacity.cpuCoresAvailable)} of ${cores} free, load ${Math.round(capacity.cpuLoad)} %`
        : `${cores}; nothing is free while the agent is not online`,
    ],
    ["memory", ofTotalGb(capacity.memoryAvailableGb, capacity.memoryTotalGb)],
  ];
  if (capacity.gpus.length === 0) facts.push(["GPU", "none"]);
  for (const card of capacity.gpus) {
    const whole = card.exclusive ? ", given away whole" : "";
    facts.push([`GPU ${card.index}`, `${card.model}: ${ofTotalGb(card.vramAvailableGb, card.vramTotalGb)}${whole}`]);
  }
  if (reserved !== undefined && reserved.reservations > 0) {
    const parts = [`${amount(reserved.cpuCores)} cores`, gb(reserved.memoryGb)];
    if (reserved.gpuVramGb > 0) parts.push(`${gb(reserved.gpuVramGb)} VRAM`);
    facts.push(["promised", `${parts.join(", ")} to ${count(reserved.reservations, "task")}`]);
  }
  if (capacity.declared.length > 0) facts.push(["declared", `${capacity.declared.join(", ")} (not measured)`]);
  return facts;
}
