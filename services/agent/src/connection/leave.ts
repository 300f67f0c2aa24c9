/** Why a session with a service is ended from our side; the reason of the signal that ends it. */
export type LeaveReason =
  /** The agent stops. */
  | "stop"
  /** The machine is about to sleep. */
  | "sleep"
  /** The stream is most likely dead and nobody has noticed: away with it, and another one at once. */
  | "reconnect";

export class Leave extends Error {
  override readonly name = "Leave";
  readonly why: LeaveReason;

  constructor(why: LeaveReason) {
    super(`the agent leaves: ${why}`);
    this.why = why;
  }
}

/** Why an aborted signal ends a session. */
export function leaveReasonOf(signal: AbortSignal): LeaveReason {
  const reason: unknown = signal.reason;
  return reason instanceof Leave ? reason.why : "stop";
}
