/** One agent as a decision sees it: who it is, how it is, and what is free on it, all of one moment. */
import { freeCapacity, type HeldRoom, type Room, roomAfter } from "./capacity.ts";
import type { AgentStatus } from "./liveness.ts";
import type { Sample } from "./resources.ts";

export type AgentType = "desktop" | "infra" | "code" | "research";

/** What is known of an agent, before anything is computed from it. */
export interface AgentFacts {
  readonly agentId: string;
  readonly agentType: AgentType;
  readonly poolName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: AgentStatus;
  /** Its work stream to an orchestrator is up. */
  readonly attached: boolean;
  /** An operator keeps new work away. */
  readonly cordoned: boolean;
  /** An operator lets its work end, for it to leave. */
  readonly draining: boolean;
  /** Its owner keeps new work away. */
  readonly ownerHold: boolean;
  /** It has come and gone too often of late. Absent: it has not. */
  readonly onProbation?: boolean;
  readonly sample: Sample | null;
  /** Those that hold room; ended ones are not among them. */
  readonly reservations: readonly HeldRoom[];
}

export interface AgentView extends AgentFacts {
  readonly room: Room;
}

export function agentView(facts: AgentFacts): AgentView {
  return { ...facts, room: freeCapacity(facts.sample, facts.reservations) };
}

/** The same agent after one more reservation: a working copy, nothing is promised by it. */
export function withReservation(view: AgentView, held: HeldRoom): AgentView {
  const reservations = [...view.reservations, held];
  const isRunning = view.sample?.attempts.some(({ attemptId }) => attemptId === held.attemptId) ?? false;
  const room = isRunning ? freeCapacity(view.sample, reservations) : roomAfter(view.room, held.reserved);
  return { ...view, reservations, room };
}
