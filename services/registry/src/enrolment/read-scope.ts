import { agentTypeWire, wire } from "@headroom/contracts";
import { invalidArgument } from "@headroom/rpc";
import type { EnrolmentScope } from "../store/enrolment-store.ts";

const DEFAULT_POOL = "default";

/** Pool and type of a request, with their defaults. Throws INVALID_ARGUMENT that names the field. */
export function readScope(request: { readonly poolName: string; readonly agentType: wire.AgentType }): EnrolmentScope {
  const { poolName, agentType } = request;
  const stated = agentType === wire.AgentType.AGENT_TYPE_UNSPECIFIED ? wire.AgentType.AGENT_TYPE_DESKTOP : agentType;
  const read = agentTypeWire.fromWire(stated, "agent_type");
  if (read.kind === "invalid") throw invalidArgument([read]);
  return { poolName: poolName === "" ? DEFAULT_POOL : poolName, agentType: read.value };
}
