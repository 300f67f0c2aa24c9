/** The notes beside an agent, in one set of words whoever asks: what keeps work away from it, and what else is not as usual. */
import type { wire } from "@headroom/contracts";
import { timeOf, word } from "../output/words.ts";

export type Capacity = wire.AgentCapacity | wire.GetAgentCapacityResponse;

/** What keeps work away, whatever is free there; the status is told beside it. Figures that were declared are a fact of their own. */
export function obstaclesOf(capacity: Capacity): string[] {
  return obstacles(capacity, { cordonReason: "", probationUntil: undefined });
}

/** The same of an agent, which tells why it is cordoned and until when it is on probation. */
export function obstaclesOfAgent(agent: wire.Agent): string[] {
  const { agentType, status, cordoned, draining, probationUntil, capacity } = agent;
  const { drainDeadline, ownerHold = false, attached = true } = capacity ?? {};
  const onProbation = probationUntil !== undefined;
  return obstacles({ agentType, status, cordoned, draining, drainDeadline, onProbation, ownerHold, attached }, agent);
}

/** For a list, where nothing else says that figures were declared. */
export function declaredNotes(capacity: Capacity | undefined): string[] {
  const declared = capacity?.declared ?? [];
  return declared.length === 0 ? [] : [`declared: ${declared.join(", ")}`];
}

export const isOnline = (status: wire.AgentStatus): boolean => word("AgentStatus", status) === "online";

type Flags = Pick<
  Capacity,
  "agentType" | "status" | "cordoned" | "draining" | "drainDeadline" | "onProbation" | "ownerHold" | "attached"
>;
/** What only an agent tells of itself: empty or absent where the capacity is all there is. */
type Reasons = Pick<wire.Agent, "cordonReason" | "probationUntil">;

function obstacles(flags: Flags, { cordonReason, probationUntil }: Reasons): string[] {
  const type = word("AgentType", flags.agentType);
  const notes: string[] = [];
  if (type !== "" && type !== "desktop") notes.push(`${type}: is never given work`);
  if (flags.cordoned) notes.push(cordonReason === "" ? "cordoned" : `cordoned (${cordonReason})`);
  if (flags.draining) notes.push(`draining${until(flags.drainDeadline)}`);
  if (flags.onProbation) notes.push(`on probation${until(probationUntil)}`);
  if (flags.ownerHold) notes.push("held by its owner");
  if (isOnline(flags.status) && !flags.attached) notes.push("not attached");
  return notes;
}

function until(timestamp: wire.Timestamp | undefined): string {
  const untilMs = timeOf(timestamp);
  return untilMs === null ? "" : ` until ${new Date(untilMs).toISOString()}`;
}
