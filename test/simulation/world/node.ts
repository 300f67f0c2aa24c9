import type { ManagedService } from "@headroom/runtime";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { SimNetwork } from "../network/sim-network.ts";

/** A program on a machine, over all its lives. */
export class SimNode {
  readonly name: string;
  readonly clockOffsetMs: number;
  readonly #engine: Engine;
  readonly #network: SimNetwork;
  readonly #create: (process: SimProcess) => ManagedService;
  #life: { readonly process: SimProcess; readonly service: ManagedService } | null = null;
  #isLeaving = false;
  /** null: its program goes on. */
  #awayFromMs: number | null = null;

  constructor(options: {
    readonly name: string;
    readonly clockOffsetMs: number;
    readonly engine: Engine;
    readonly network: SimNetwork;
    create(process: SimProcess): ManagedService;
  }) {
    this.name = options.name;
    this.clockOffsetMs = options.clockOffsetMs;
    this.#engine = options.engine;
    this.#network = options.network;
    this.#create = (process) => options.create(process);
  }

  /** The life that runs now. */
  get process(): SimProcess | null {
    return this.#life?.process ?? null;
  }

  get isUp(): boolean {
    return this.#life !== null;
  }

  /** For how long its program has stood still, or been dead, or first the one and then the other. */
  get awayForMs(): number {
    return this.#awayFromMs === null ? 0 : this.#engine.nowMs - this.#awayFromMs;
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.#life === null) return;
    this.#awayFromMs ??= this.#engine.nowMs;
    this.#life.process.pause();
  }

  /** SIGCONT to one of its lives. */
  resume(process: SimProcess): void {
    if (process === this.process) this.#awayFromMs = null;
    process.resume();
  }

  start(): void {
    if (this.#life !== null) return;
    this.#awayFromMs = null;
    const process = this.#engine.process(this.name, this.clockOffsetMs);
    const service = this.#create(process);
    this.#life = { process, service };
    this.#engine.note(this.name, "starts");
    process.do("starts", () => {
      service.start().catch((error: unknown) => {
        // Whoever watches over it starts it again.
        this.#engine.note(this.name, `could not start: ${String(error)}`);
        if (this.#life?.service === service) this.die(false);
      });
    });
  }

  /** kill -9, or with the machine a loss of power. */
  die(machineToo: boolean): void {
    const life = this.#life;
    if (life === null) return;
    this.#life = null;
    this.#awayFromMs ??= this.#engine.nowMs;
    this.#engine.note(this.name, machineToo ? "loses its power" : "is killed");
    life.process.kill();
    this.#network.links.processDied(life.process, machineToo);
  }

  /** SIGTERM; what does not end within a minute is killed. */
  stop(then: () => void): void {
    const life = this.#life;
    if (life === null || this.#isLeaving) return;
    this.#isLeaving = true;
    this.#engine.note(this.name, "is stopped");
    const over = (how: string): void => {
      if (this.#life !== life) return;
      this.#isLeaving = false;
      this.#engine.note(this.name, how);
      this.die(false);
      then();
    };
    life.process.onDeath(() => (this.#isLeaving = false));
    life.process.do("stops", () => {
      life.service.stop("SIGTERM").then(
        () => this.#engine.schedule(0, null, `${this.name} has stopped`, () => over("has stopped")),
        (error: unknown) => this.#engine.fail(error),
      );
    });
    this.#engine.schedule(60_000, null, `${this.name} must have stopped`, () => over("did not stop in a minute"));
  }
}
