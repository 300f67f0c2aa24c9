import { type Listener, type Notifier, readNotification } from "@headroom/postgres";
import { lifecycle, type ManagedService } from "@headroom/runtime";
import type { AvoidedAgents } from "./avoided-agents.ts";

/** Agents to which a delivery has failed, as `AGENT/CAUSE/REPLICA`; and those that are back, by their ids. */
const avoidChannel = "headroom_orchestrator_avoid";
const forgiveChannel = "headroom_orchestrator_forgive";

/** What one replica learns of an agent all of them heed: else the next one offers it the same work again at once, and again. */
export interface SharedAvoidance extends ManagedService {
  readonly avoided: AvoidedAgents;
}

export interface SharedAvoidanceOptions {
  /** This replica: what it says comes back to it. */
  readonly instance: string;
  /** What this replica heeds. */
  readonly own: AvoidedAgents;
  readonly notifier: Pick<Notifier, "notify">;
  readonly listener: Pick<Listener, "subscribe"> | null;
  /** Another replica says that an agent is back. */
  readonly onForgiven: () => void;
}

export function createSharedAvoidance(options: SharedAvoidanceOptions): SharedAvoidance {
  const { instance, own, notifier, listener, onForgiven } = options;
  let leave: readonly (() => void)[] = [];
  const heard = (payload: string): readonly string[] => {
    const told = readNotification(payload);
    // Too many to be named: each replica finds out for itself.
    return told.kind === "everything" ? [] : told.items;
  };
  return {
    ...lifecycle({
      name: "shared avoidance",
      start() {
        leave =
          listener === null
            ? []
            : [
                listener.subscribe(avoidChannel, (payload) => {
                  for (const item of heard(payload)) {
                    const [agentId, cause, replica] = item.split("/");
                    if (agentId === undefined || replica === instance) continue;
                    own.avoid(agentId, cause === "l" ? "late" : "refused");
                  }
                }),
                listener.subscribe(forgiveChannel, (payload) => {
                  for (const agentId of heard(payload)) own.forgive(agentId);
                  onForgiven();
                }),
              ];
      },
      stop() {
        for (const end of leave) end();
      },
    }),
    avoided: {
      ...own,
      avoid(agentId, cause) {
        own.avoid(agentId, cause);
        notifier.notify(avoidChannel, `${agentId}/${cause === "late" ? "l" : "r"}/${instance}`);
      },
      forgive(agentId) {
        if (!own.current().has(agentId)) return;
        own.forgive(agentId);
        notifier.notify(forgiveChannel, agentId);
      },
    },
  };
}
