/** Notices that a service which gives signs of life has stopped doing so, long before its connection ends. */
import type { Timer, Timers } from "@headroom/runtime";

/** Looks in a row that found nothing new until the other side counts as silent. */
const looksInVain = 3;

export class SilenceWatch {
  readonly #timers: Timers;
  readonly #everyMs: number;
  readonly #outer: AbortSignal;
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #heardSinceLook = false;
  #inVain = 0;
  #isSilent = false;

  /** `everyMs`: how often a sign of life was asked for. `signal` ends it too. */
  constructor(timers: Timers, everyMs: number, signal: AbortSignal) {
    this.#timers = timers;
    this.#everyMs = everyMs;
    this.#outer = signal;
    signal.addEventListener("abort", this.#leave, { once: true });
    if (signal.aborted) this.#leave();
  }

  /** Aborts when the other side has fallen silent. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /**
   * Something came. `isSign`: it was nothing but a sign of life. Only who has given one is expected to go on: a service of an older version
   * gives none, and its silence says nothing.
   */
  heard(isSign: boolean): void {
    this.#heardSinceLook = true;
    if (isSign && this.#timer === undefined) this.#lookLater();
  }

  /** Ends what is listened to, for another reason. */
  abort(reason: unknown): void {
    this.#abort.abort(reason);
  }

  end(): void {
    this.#outer.removeEventListener("abort", this.#leave);
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#timers.after(this.#everyMs, () => this.#look(), { keepAlive: false });
  }

  /** Looks are counted, and not the time: if it was we who stood still, what came meanwhile is read before the next look. */
  #look(): void {
    this.#inVain = this.#heardSinceLook ? 0 : this.#inVain + 1;
    this.#heardSinceLook = false;
    if (this.#inVain < looksInVain) return this.#lookLater();
    this.#isSilent = true;
    this.#abort.abort(new Error("nothing was heard for too long"));
  }

  readonly #leave = (): void => this.#abort.abort(this.#outer.reason);
}
