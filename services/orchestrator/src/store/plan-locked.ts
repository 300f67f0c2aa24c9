/** Another session of the database keeps a plan locked, for longer than whatever Headroom does takes; nothing was written. */
export class PlanLockedError extends Error {
  readonly planId: string;

  constructor(planId: string, cause: unknown) {
    super(`plan ${planId} is locked by another session of the database`, { cause });
    this.name = "PlanLockedError";
    this.planId = planId;
  }
}
