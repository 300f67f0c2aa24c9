/** How the bytes of one direction fare between two processes. */
export class Lane {
  /** Each piece takes this long, at random in between; their order stays. */
  delayMs: { readonly min: number; readonly max: number } = { min: 0, max: 0 };
  /** A lost packet holds up what comes after it until it is sent again. */
  loss: { readonly chance: number; readonly againAfterMs: number } = { chance: 0, againAfterMs: 0 };
  readonly #waiting = new Set<() => void>();
  #cuts = 0;

  /** Nothing arrives; what was said waits, as TCP would send it again. Cuts add up. Answers how to end this one. */
  cut(): () => void {
    this.#cuts += 1;
    let isMine = true;
    return () => {
      if (!isMine) return;
      isMine = false;
      this.#cuts -= 1;
      if (this.#cuts === 0) this.#wake();
    };
  }

  /** Resolves when bytes arrive. */
  async open(): Promise<void> {
    while (this.#cuts > 0) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** How long a piece takes that is sent now. */
  nextDelayMs(): number {
    const { min, max } = this.delayMs;
    const isLost = Math.random() < this.loss.chance;
    return min + Math.random() * (max - min) + (isLost ? this.loss.againAfterMs * (0.5 + Math.random()) : 0);
  }

  /** As good as new. */
  mend(): void {
    this.#cuts = 0;
    this.delayMs = { min: 0, max: 0 };
    this.loss = { chance: 0, againAfterMs: 0 };
    this.#wake();
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
