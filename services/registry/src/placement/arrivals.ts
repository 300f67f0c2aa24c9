/** Which tasks have arrived: each counts once for what is learned, however often it asks for room. */
import { type Experience, placementShape, type Needs } from "@headroom/scheduling";

/** Tasks that are remembered; the oldest are forgotten first. One that asks again after so many others counts again. */
const MAX_REMEMBERED = 100_000;

export class Arrivals {
  readonly #mix: Experience["mix"];
  readonly #remembered = new Set<string>();

  constructor({ mix }: Experience) {
    this.#mix = mix;
  }

  /** `taskKey` tells one task from another. */
  note(taskKey: string, needs: Needs): void {
    if (this.#remembered.has(taskKey)) return;
    this.#remembered.add(taskKey);
    if (this.#remembered.size > MAX_REMEMBERED) {
      const [oldest] = this.#remembered;
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    this.#mix.arrive(placementShape(needs));
  }
}
