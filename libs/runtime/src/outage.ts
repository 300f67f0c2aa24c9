/**
 * Says once that something has begun to fail, and once that it works again. What is tried every second would otherwise bury all else in the log, or,
 * told at debug, be seen by nobody.
 */
import type { LogFields, Logger } from "./logger-types.ts";

export class Outage {
  readonly #logger: Logger;
  readonly #words: { readonly fails: string; readonly works: string };
  #isFailing = false;

  constructor(logger: Logger, words: { readonly fails: string; readonly works: string }) {
    this.#logger = logger;
    this.#words = words;
  }

  failed(error: unknown, fields: LogFields = {}): void {
    this.#logger[this.#isFailing ? "debug" : "warn"]({ ...fields, err: error }, this.#words.fails);
    this.#isFailing = true;
  }

  worked(): void {
    if (this.#isFailing) this.#logger.info(this.#words.works);
    this.#isFailing = false;
  }
}
