/** Who may use a session now: one transaction at a time, in the order of asking. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  /** Calls `begin` when it is its turn: at once, or when those before have called `next`. */
  take(begin: () => void): void {
    if (this.#isTaken) this.#waiting.push(begin);
    else {
      this.#isTaken = true;
      begin();
    }
  }

  next(): void {
    const begin = this.#waiting.shift();
    if (begin === undefined) this.#isTaken = false;
    else begin();
  }
}
