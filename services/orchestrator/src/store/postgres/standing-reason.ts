/**
 * Whether a reason says nothing of one task's needs, so that "no agent could ever take it", which the registry has found, goes on to stand. That the
 * fleet is busy or away, or that nobody can be asked, does not contradict it; and "wait" would be the wrong advice.
 */
export function leavesNever(standing: string, told: string): string {
  return `(${standing} = 'NO_AGENT_CAN_EVER_FIT' AND ${told} IN ('FLEET_BELOW_THRESHOLD', 'NO_AGENT_ONLINE', 'REGISTRY_UNAVAILABLE'))`;
}

/** Of these only this one was not found by looking at the fleet: it is no check of anything. */
export function isUnchecked(told: string): string {
  return `(${told} = 'REGISTRY_UNAVAILABLE')`;
}

/** Whether a row that is not tried yet waits for a time that it was given, or for its pause before another run: until then nothing is amiss with it. */
export function waitsForTime(standing: string): string {
  return `(${standing} IN ('RESUME_AFTER', 'RETRY_BACKOFF'))`;
}
