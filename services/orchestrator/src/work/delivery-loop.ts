import { readNotification, type Listener } from "@headroom/postgres";
import { lifecycle, type Logger, type ManagedService, Outage, type Ports, RunLoop } from "@headroom/runtime";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { resendMs, resendWithinMs } from "./resending.ts";
import { attachedChannel, deliverChannel, type Sessions } from "./sessions.ts";

export interface DeliveryLoopOptions {
  readonly store: Pick<OrchestratorStore, "takeToSend" | "takeToCancel">;
  readonly sessions: Sessions;
  readonly avoided: Pick<AvoidedAgents, "avoid">;
  readonly listener: Pick<Listener, "subscribe"> | null;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly errorDelayMs: number;
}

const intervalMs = 1_000;

/** Sends what other replicas have assigned to agents held here: when told, and every second by looking. */
export function createDeliveryLoop(options: DeliveryLoopOptions): ManagedService {
  const { store, sessions, ports, logger } = options;
  const outage = new Outage(logger, {
    fails: "assignments could not be looked for; trying again",
    works: "assignments are looked for again",
  });
  const loop = new RunLoop({
    name: "delivery loop",
    ports,
    intervalMs,
    errorDelayMs: options.errorDelayMs,
    jitterFraction: 0.1,
    async run() {
      const agentIds = sessions.agentIds();
      if (agentIds.length === 0) return;
      // Of agents whose answers are still in work, only what was never sent is sent.
      const again = {
        agentIds: sessions.idleAgentIds(),
        afterMs: resendMs,
        withinMs: resendWithinMs,
        exceptAttemptIds: sessions.refusedAttemptIds(),
      };
      sessions.deliver(await store.takeToSend(agentIds, again));
      for (const attempt of await store.takeToCancel(agentIds, resendMs))
        sessions.cancel(attempt, "cancelled on request");
      avoidSilent(options);
      outage.worked();
    },
    onError: (error) => outage.failed(error),
  });
  let leave: readonly (() => void)[] = [];

  return lifecycle({
    name: "delivery loop",
    start() {
      const { listener } = options;
      leave =
        listener === null
          ? []
          : [
              listener.subscribe(deliverChannel, (payload) => {
                const told = readNotification(payload);
                if (told.kind === "everything" || told.items.some((agentId) => sessions.holds(agentId)))
                  loop.wake("notified");
              }),
              listener.subscribe(attachedChannel, (payload) => {
                const told = readNotification(payload);
                if (told.kind === "everything") return;
                for (const item of told.items) {
                  const [agentId, sessionId] = item.split("/");
                  if (agentId !== undefined && sessionId !== undefined)
                    sessions.supersededElsewhere(agentId, sessionId);
                }
              }),
            ];
      return loop.start();
    },
    async stop(reason) {
      for (const end of leave) end();
      await loop.stop(reason);
    },
  });
}

/** Whoever does not answer gets nothing new until it does: it would keep that too, until the lease of each had ended, and be full of it. */
function avoidSilent({ sessions, avoided, logger }: DeliveryLoopOptions): void {
  for (const { agentId, attemptId, forMs, isNew } of sessions.takeSilences()) {
    avoided.avoid(agentId, "refused");
    if (!isNew) continue;
    logger.warn(
      { agent_id: agentId, attempt_id: attemptId, unanswered_for_ms: Math.round(forMs) },
      "an agent is attached and does not answer what it is given: it gets nothing new until it does",
    );
  }
}
