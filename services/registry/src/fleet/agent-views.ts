/** What decisions see of an agent, computed once per change of it. */
import { agentView, type AgentView, type HeldRoom } from "@headroom/scheduling";
import type { StoredAgent } from "../store/stored-agent.ts";

// Records are replaced, never changed, so a view is right for as long as its record lives.
const views = new WeakMap<StoredAgent, AgentView>();

export function viewOf(agent: StoredAgent): AgentView {
  const known = views.get(agent);
  if (known !== undefined) return known;
  const view = agentView({ ...factsOf(agent), reservations: heldRoomOf(agent) });
  views.set(agent, view);
  return view;
}

function factsOf(agent: StoredAgent): Omit<AgentView, "room" | "reservations"> {
  const { agentId, agentType, poolName, labels, status, attached, cordoned, draining, ownerHold, sample } = agent;
  const onProbation = agent.flapping.probationUntilMs !== null;
  return { agentId, agentType, poolName, labels, status, attached, cordoned, draining, ownerHold, onProbation, sample };
}

/**
 * All that takes room: promises, and what runs without one. The latter is adopted in the store within moments; until
 * then its room must not look free. An attempt that has ended in the store (a tombstone) takes nothing, whatever an
 * older sample says.
 */
function heldRoomOf(agent: StoredAgent): readonly HeldRoom[] {
  const held: HeldRoom[] = [...agent.reservations.held()];
  for (const { attemptId, used } of agent.sample?.attempts ?? []) {
    if (!agent.reservations.has(attemptId)) held.push({ attemptId, reserved: used, expectedEndAtMs: null });
  }
  return held;
}
