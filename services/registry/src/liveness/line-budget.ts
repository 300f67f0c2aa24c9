/** When a whole fleet is lost or comes back, a line for each agent says less than their number, and costs more. */
const LINES_PER_SECOND = 50;

export class LineBudget {
  #secondStartedAtMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #withheld = 0;

  /** Whether one more line may be written now; `withheld`: how many were not, since the last that was. */
  take(nowMs: number): { readonly mayWrite: boolean; readonly withheld: number } {
    if (nowMs - this.#secondStartedAtMs >= 1_000) {
      this.#secondStartedAtMs = nowMs;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > LINES_PER_SECOND) {
      this.#withheld += 1;
      return { mayWrite: false, withheld: 0 };
    }
    const withheld = this.#withheld;
    this.#withheld = 0;
    return { mayWrite: true, withheld };
  }
}
