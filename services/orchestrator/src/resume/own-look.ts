/**
 * What a poll asks the registry of the fleet itself, because the watch may tell nothing any more: its figures are as old then as its last word, and what was
 * promised since has been taken off them for good.
 */
import type { Logger } from "@headroom/runtime";
import type { FleetView } from "../fleet-view/fleet-view.ts";

export class OwnLook {
  readonly #fleet: Pick<FleetView, "asOf" | "refresh">;
  readonly #logger: Logger;
  /** What the watch had told when the last poll began; null: there was none. */
  #asOf: number | null = null;
  #hasLooked = false;

  constructor(fleet: Pick<FleetView, "asOf" | "refresh">, logger: Logger) {
    this.#fleet = fleet;
    this.#logger = logger;
  }

  /**
   * Asks where the watch has told of no agent since the last poll. Of a large fleet the answer is long, and such a fleet always has something to tell.
   */
  async beginPoll(): Promise<void> {
    this.#hasLooked = false;
    if (this.#fleet.asOf() === this.#asOf) await this.look();
    this.#asOf = this.#fleet.asOf();
  }

  /** Asks whatever the watch has told, but once in a poll. */
  async look(): Promise<void> {
    if (this.#hasLooked) return;
    this.#hasLooked = true;
    try {
      await this.#fleet.refresh();
    } catch (error) {
      this.#logger.debug({ err: error }, "the registry could not be asked for agents with room");
    }
    // What it has answered is not the watch's word.
    this.#asOf = this.#fleet.asOf();
  }
}
