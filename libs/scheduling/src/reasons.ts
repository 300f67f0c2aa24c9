/** Why a task waits. The names are public: they stand in answers, in `pause_queue.reason` and in the logs. */
export type PauseReason =
  /** Every online agent is below the threshold (the gate). */
  | "FLEET_BELOW_THRESHOLD"
  | "NO_AGENT_ONLINE"
  /** Capacity could not be checked; room that nobody could check is not promised. */
  | "REGISTRY_UNAVAILABLE"
  /** An operator holds the plan or the queue. */
  | "HELD"
  | "DEPENDENCY_PENDING"
  /** Some agent could run it, but not at the moment. */
  | "NO_AGENT_FITS_NOW"
  /** No agent's totals, offers, pools, labels or models suffice. */
  | "NO_AGENT_CAN_EVER_FIT"
  /** It fits on agents whose work stream is down. */
  | "AGENT_NOT_ATTACHED"
  /** Those with room for it are cordoned, being drained or held by their owner. */
  | "ALL_CORDONED"
  /** `resume_after` lies ahead. */
  | "RESUME_AFTER"
  /** A failed or lost attempt is tried again later. */
  | "RETRY_BACKOFF"
  /** An agent refused or never received its assignment. */
  | "DELIVERY_FAILED"
  /** It can start, and waits for its turn to be placed. */
  | "AWAITING_TURN";

const REASONS: { readonly [R in PauseReason]: true } = {
  FLEET_BELOW_THRESHOLD: true,
  NO_AGENT_ONLINE: true,
  REGISTRY_UNAVAILABLE: true,
  HELD: true,
  DEPENDENCY_PENDING: true,
  NO_AGENT_FITS_NOW: true,
  NO_AGENT_CAN_EVER_FIT: true,
  AGENT_NOT_ATTACHED: true,
  ALL_CORDONED: true,
  RESUME_AFTER: true,
  RETRY_BACKOFF: true,
  DELIVERY_FAILED: true,
  AWAITING_TURN: true,
};

export const PAUSE_REASONS = Object.keys(REASONS) as readonly PauseReason[]; // keys of a mapped type over PauseReason

export function isPauseReason(text: string): text is PauseReason {
  return Object.hasOwn(REASONS, text);
}
