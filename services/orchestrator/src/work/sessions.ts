import type { Logger } from "@headroom/runtime";
import type { Notifier } from "@headroom/postgres";
import type { Deliverer } from "../placing/placer.ts";
import type { AssignmentToSend, FencedAttempt } from "../store/model.ts";
import { Session } from "./session.ts";
import type { Silence } from "./unanswered.ts";

/** Agents with something to be sent: whoever holds one looks for it. */
export const deliverChannel = "headroom_orchestrator_deliver";
/** `AGENT/SESSION` that has just attached: older streams of that agent are over. */
export const attachedChannel = "headroom_orchestrator_attached";

/** The work streams that this replica holds. */
export interface Sessions extends Deliverer {
  /** The newest stream of an agent takes its place; an older one is ended. */
  add(session: Session): void;
  /** Does nothing for a stream that has been replaced. */
  remove(session: Session): void;
  agentIds(): readonly string[];
  /** Those of whom all that has come was handled, or waits for a locked plan: what they have not answered, they have not heard. */
  idleAgentIds(): readonly string[];
  /** What they have refused, as long as that is not written yet: sent again, a refusal would count no more. */
  refusedAttemptIds(): readonly string[];
  /** Those of them who hear what they are given and do not answer; each again every ten seconds. */
  takeSilences(): readonly (Silence & { readonly agentId: string })[];
  cancel(attempt: FencedAttempt & { readonly agentId: string }, reason: string): void;
  /** Another replica has a newer stream of this agent. */
  supersededElsewhere(agentId: string, sessionId: string): void;
  reconnectAll(withinMs: number): void;
}

export function createSessions(notifier: Pick<Notifier, "notify">, logger: Logger): Sessions {
  const sessions = new Map<string, Session>();

  return {
    add(session) {
      const older = sessions.get(session.agentId);
      sessions.set(session.agentId, session);
      older?.supersede();
      notifier.notify(attachedChannel, `${session.agentId}/${session.sessionId}`);
    },
    remove(session) {
      session.markClosed();
      if (sessions.get(session.agentId) === session) sessions.delete(session.agentId);
    },
    agentIds: () => [...sessions.keys()],
    idleAgentIds: () => [...sessions.values()].filter((session) => !session.busy).map((session) => session.agentId),
    refusedAttemptIds: () => [...sessions.values()].flatMap((session) => [...session.refused]),
    takeSilences: () =>
      [...sessions.values()].flatMap((session) => {
        const silence = session.busy ? null : session.takeSilence();
        return silence === null ? [] : [{ ...silence, agentId: session.agentId }];
      }),
    holds: (agentId) => sessions.has(agentId),
    deliver(assignments: readonly AssignmentToSend[]) {
      for (const assignment of assignments) {
        const session = sessions.get(assignment.agentId);
        if (session === undefined) notifier.notify(deliverChannel, assignment.agentId);
        // It has answered: its answer waits for somebody who keeps the plan locked.
        else if (!session.hasInWork(assignment.attemptId)) session.assign(assignment);
      }
    },
    cancel(attempt, reason) {
      const session = sessions.get(attempt.agentId);
      if (session === undefined) notifier.notify(deliverChannel, attempt.agentId);
      else session.cancel(attempt, reason);
    },
    supersededElsewhere(agentId, sessionId) {
      const session = sessions.get(agentId);
      if (session === undefined || session.sessionId === sessionId) return;
      logger.debug({ agent_id: agentId }, "the agent has attached to another replica");
      session.supersede();
    },
    reconnectAll(withinMs) {
      for (const session of sessions.values()) session.askToReconnect(withinMs);
    },
  };
}
