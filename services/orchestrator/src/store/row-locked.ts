/** Somebody else has a row, and it is not waited for; nothing was written. To whoever asks it is what PostgreSQL says of a lock that was not to be had in time. */
export class RowLockedError extends Error {
  override readonly name: string = "RowLockedError";
  readonly code = "55P03";
}

/** A task cannot end because one that comes after it is locked, or its row of the queue. Its plan, and all others of that, are free. */
export class DependentsLockedError extends RowLockedError {
  override readonly name = "DependentsLockedError";

  constructor(attemptId: string) {
    super(`attempt ${attemptId} cannot end: what depends on its task is locked by another session of the database`);
  }
}
