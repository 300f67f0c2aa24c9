/** When a whole fleet is lost or comes back, a line for each agent says less than their number, and costs more. */
const FOR_A_FLEET = { lines: 50, perMs: 1_000 };

export class LineBudget {
  readonly #most: { readonly lines: number; readonly perMs: number };
  #spanStartedAtMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #withheld = 0;

  /** So many lines within so long at most. */
  constructor(most = FOR_A_FLEET) {
    this.#most = most;
  }

  /** Whether one more line may be written now; `withheld`: how many were not, since the last that was. */
  take(nowMs: number): { readonly mayWrite: boolean; readonly withheld: number } {
    if (nowMs - this.#spanStartedAtMs >= this.#most.perMs) {
      this.#spanStartedAtMs = nowMs;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > this.#most.lines) {
      this.#withheld += 1;
      return { mayWrite: false, withheld: 0 };
    }
    const withheld = this.#withheld;
    this.#withheld = 0;
    return { mayWrite: true, withheld };
  }
}
