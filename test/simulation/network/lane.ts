import type { SimProcess } from "../engine/sim-process.ts";
import { keepaliveMs, type Links } from "./links.ts";

/** One direction of one stream: what is sent arrives in order, each message after its own delay. */
export class Lane {
  readonly #links: Links;
  readonly #from: SimProcess;
  readonly #to: SimProcess;
  readonly #what: string;
  #lastAtMs = 0;
  #isClosed = false;

  constructor(links: Links, from: SimProcess, to: SimProcess, what: string) {
    this.#links = links;
    this.#from = from;
    this.#to = to;
    this.#what = what;
  }

  send(arrive: () => void): void {
    const { engine } = this.#links;
    const atMs = Math.max(this.#lastAtMs, engine.nowMs + this.#links.delayMs(this.#from.name, this.#to.name));
    this.#lastAtMs = atMs;
    const leavesAtMs = this.#links.leavesAtMs(this.#from.name, this.#to.name);
    engine.scheduleAt(atMs, this.#to, this.#what, () => {
      if (this.#isClosed || this.#links.hadLostPower(this.#from, leavesAtMs)) return;
      if (this.#links.sleepsBefore(this.#from, leavesAtMs)) this.#links.whenAwake(this.#from, () => this.send(arrive));
      else arrive();
    });
  }

  /** The last word on the stream. Whatever keeps it from arriving, the other side's keepalive finds nobody there. */
  end(arrive: () => void): void {
    this.send(() => this.#endNow(arrive));
    const { engine } = this.#links;
    engine.schedule(keepaliveMs, this.#to, `keepalive on ${this.#what}`, () => this.#endNow(arrive));
  }

  #endNow(arrive: () => void): void {
    if (this.#isClosed) return;
    this.close();
    arrive();
  }

  /** What is under way does not arrive any more. */
  close(): void {
    this.#isClosed = true;
  }
}
