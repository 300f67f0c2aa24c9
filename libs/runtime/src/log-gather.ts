import type { LineSink } from "./log-file.ts";

/** Enough lines for the cost of a write to vanish, and far less than a log file holds. */
const maxCharacters = 65_536;

/** Passes lines on one by one, but for those that are written together: these as a few long pieces of whole lines. */
export class GatheringSink implements LineSink {
  readonly #sink: LineSink;
  #gathered = "";
  #depth = 0;

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  write(line: string): void {
    if (this.#depth === 0) return this.#sink.write(line);
    this.#gathered += line;
    if (this.#gathered.length >= maxCharacters) this.#flush();
  }

  together(write: () => void): void {
    this.#depth += 1;
    try {
      write();
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#flush();
    }
  }

  #flush(): void {
    const lines = this.#gathered;
    this.#gathered = "";
    if (lines !== "") this.#sink.write(lines);
  }
}
