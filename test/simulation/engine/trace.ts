import { createHash } from "node:crypto";

/** Every event is worth a line, of seeds that pass too: for whoever looks into one seed. */
export const showsAll = process.env["HEADROOM_SIMULATION_EVENTS"] === "all";

/** What happened, in order: all of it as a hash, the last of it as text. Two runs of one seed have one hash. */
export class Trace {
  readonly #hash = createHash("sha256");
  readonly #lines: string[] = [];
  readonly #kept: number;
  #count = 0;

  constructor(kept: number) {
    this.#kept = showsAll ? Number.POSITIVE_INFINITY : kept;
  }

  get count(): number {
    return this.#count;
  }

  /** `shown`: worth a line for whoever reads the trace; everything counts for the hash. */
  add(atMs: number, who: string, what: string, shown: boolean): void {
    const line = `${atMs.toFixed(3)} ${who} ${what}`;
    this.#count += 1;
    this.#hash.update(line).update("\n");
    if (!shown && !showsAll) return;
    this.#lines.push(line);
    if (this.#lines.length > 2 * this.#kept) this.#lines.splice(0, this.#kept);
  }

  /** The last lines, oldest first. */
  lines(): readonly string[] {
    return this.#lines.slice(-this.#kept);
  }

  /** Call once, at the end. */
  digest(): string {
    return this.#hash.digest("hex").slice(0, 16);
  }
}
