import { agentStatusWire, type wire } from "@headroom/contracts";
import { invalidArgument, type UnaryHandler } from "@headroom/rpc";
import type { AgentStatus } from "@headroom/scheduling";
import { findAgents } from "../queries/find-agents.ts";
import type { HandlerDeps } from "./deps.ts";
import { showAgent } from "./show-agent.ts";

const DEFAULT_PAGE_SIZE = 100;

/** All agents known, ordered by host name and id. */
export function listAgents(deps: HandlerDeps): UnaryHandler<wire.ListAgentsRequest, wire.ListAgentsResponse> {
  return async ({ statuses, pageSize, pageToken, ...rest }) => {
    deps.requireReady();
    const page = findAgents(
      deps.index,
      { ...rest, statuses: new Set(statuses.map(readStatus)) },
      { pageSize: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize, pageToken },
    );
    return {
      agents: page.rows.map((agent) => showAgent(deps, agent)),
      nextPageToken: page.nextPageToken,
      totalSize: page.totalSize,
    };
  };
}

function readStatus(status: number, index: number): AgentStatus {
  const read = agentStatusWire.fromWire(status, `statuses[${index}]`);
  if (read.kind === "invalid") throw invalidArgument([read]);
  return read.value;
}
