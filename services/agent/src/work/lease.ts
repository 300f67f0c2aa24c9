/** Until when an attempt may go on without a renewal, on the clock that counts suspend. */
export interface Lease {
  readonly lengthMs: number;
  readonly endsAtMs: number;
  /** Set while its processes are stopped because the machine sleeps or slept: not renewed by then, they are ended. */
  readonly frozenUntilMs: number | null;
}

export type LeaseVerdict = "goes_on" | "freeze" | "thaw_not_yet" | "end";

/** Time that a machine just woken has to get a renewal before its attempts are ended. They do nothing meanwhile. */
const frozenForMs = 60_000;

/** A lease that begins at `fromMs`. */
export function beginLease(lengthMs: number, fromMs: number): Lease {
  return { lengthMs, endsAtMs: fromMs + lengthMs, frozenUntilMs: null };
}

/** Renewed by an answer to a renewal that was asked for at `askedAtMs`. Never shortens. */
export function renewLease(lease: Lease, askedAtMs: number): Lease {
  return { ...lease, endsAtMs: Math.max(lease.endsAtMs, askedAtMs + lease.lengthMs), frozenUntilMs: null };
}

/** What to do with an attempt now. `slept`: this process stood still just before. */
export function judgeLease(lease: Lease, nowMs: number, slept: boolean): LeaseVerdict {
  // The machine slept: whatever is left of the lease, nothing goes on until the orchestrator says that it may.
  if (lease.frozenUntilMs !== null) return nowMs < lease.frozenUntilMs ? "thaw_not_yet" : "end";
  if (nowMs < lease.endsAtMs) return "goes_on";
  // Awake all the time and not renewed: somebody else may get the task, so it ends. Asleep: nothing was done, so it may yet be renewed.
  return slept ? "freeze" : "end";
}

/** DESIGN 5: so long after its end somebody else may have the task. */
const elsewhereAfterMs = 30_000;

/** How much of `graceMs` an attempt that is being ended may still have: none once its task may run elsewhere. */
export function graceLeftMs({ endsAtMs }: Lease, nowMs: number, graceMs: number): number {
  return Math.max(0, Math.min(graceMs, endsAtMs + elsewhereAfterMs - nowMs));
}

/** Stopped because the machine slept until now. */
export function freezeLease(lease: Lease, nowMs: number): Lease {
  return { ...lease, frozenUntilMs: Math.max(lease.endsAtMs, nowMs + frozenForMs) };
}

/** Stopped because the machine is about to sleep: nobody is to be judged until it is back. */
export function sleepLease(lease: Lease): Lease {
  return { ...lease, frozenUntilMs: Number.POSITIVE_INFINITY };
}

/** Time between renewals: a third of the shortest lease, or less if the orchestrator asks for less. */
export function renewEveryMs(leases: readonly Lease[], wantedMs: number): number {
  const shortest = Math.min(wantedMs, ...leases.map((lease) => lease.lengthMs / 3));
  return Math.max(minRenewMs, shortest);
}

const minRenewMs = 1_000;
