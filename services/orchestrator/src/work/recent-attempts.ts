import type { FencedAttempt } from "../store/model.ts";

/** The newest attempts that something was said of, each with its fence: what a stream remembers is bounded. */
export class RecentAttempts {
  readonly #most: number;
  readonly #fences = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  add({ attemptId, fence }: FencedAttempt): void {
    this.#fences.delete(attemptId);
    const oldest = this.#fences.size >= this.#most ? this.#fences.keys().next().value : undefined;
    if (oldest !== undefined) this.#fences.delete(oldest);
    this.#fences.set(attemptId, fence);
  }

  all(): readonly FencedAttempt[] {
    return [...this.#fences].map(([attemptId, fence]) => ({ attemptId, fence }));
  }

  /** This very attempt: under another fence it is another's word. */
  has({ attemptId, fence }: FencedAttempt): boolean {
    return this.#fences.get(attemptId) === fence;
  }

  /** Whether it was there. */
  take(attempt: FencedAttempt): boolean {
    return this.has(attempt) && this.#fences.delete(attempt.attemptId);
  }
}
