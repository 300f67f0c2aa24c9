/** Joins what the store says of an agent with what this process knows of it already. */
import { livenessStep, newerFlapping } from "@headroom/scheduling";
import type { StoredAgent } from "../store/stored-agent.ts";

/** Who holds the session that the store tells of. `nobody`: a registry process that is gone, or has not proved that it lives. */
export type Holder = "this_process" | "another_living" | "nobody";

/**
 * The newer of each part: reservations by their guard, cordon and drain by the time of their change, identity and liveness by their
 * session. Of a session that this process holds itself it knows more than the store, which is written with a delay; what nobody living
 * holds is doubted. Of one that another process holds, that one's word counts for everything, also where this process remembers a flap that was not
 * written any more: that process ends the probation, and one that it had never given would never end here.
 */
export function mergeLoaded(current: StoredAgent | undefined, loaded: StoredAgent, holder: Holder): StoredAgent {
  const offered = holder === "nobody" ? doubted(loaded) : loaded;
  if (current === undefined) return offered;
  const isKnownBetter = current.epoch > loaded.epoch || (current.epoch === loaded.epoch && holder !== "another_living");
  const session = isKnownBetter ? current : offered;
  const promises = current.guardVersion >= loaded.guardVersion ? current : loaded;
  // What was read before an operator spoke may come after.
  const administered = current.administeredAtUs > loaded.administeredAtUs ? current : loaded;
  const { cordoned, cordonReason, draining, drainDeadlineMs, administeredAtUs } = administered;
  const { firstSeenAtMs } = loaded;
  const isAnothers = holder === "another_living" && !isKnownBetter;
  const flapping = isAnothers ? offered.flapping : newerFlapping(session.flapping, current.flapping);
  const { guardVersion, reservations } = promises;
  return {
    ...session,
    cordoned,
    cordonReason,
    draining,
    drainDeadlineMs,
    administeredAtUs,
    firstSeenAtMs,
    flapping,
    guardVersion,
    reservations,
  };
}

/** What the store says after an operator has changed the agent: of its session nothing new is learned here. */
export function mergeAdministered(current: StoredAgent, stored: StoredAgent): StoredAgent {
  return mergeLoaded(current, { ...stored, epoch: current.epoch }, "this_process");
}

/** The store may still call it online; nobody has heard from it. */
function doubted(loaded: StoredAgent): StoredAgent {
  const outcome = livenessStep(loaded.status, "registry_restarted");
  if (outcome.kind === "rejected" || outcome.to === "removed" || outcome.to === loaded.status) return loaded;
  return { ...loaded, status: outcome.to, statusReason: "the registry restarted and has not heard from it yet" };
}
