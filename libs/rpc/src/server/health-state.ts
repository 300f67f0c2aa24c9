/** What health checks are told, by full service name; "" is the server as a whole. */
export interface Health {
  /** A service that was never set is serving from the start of the server on. May be called before the start. */
  set(service: string, serving: boolean): void;
  /** What a check is told now; undefined: no such service. While the server is not up, nothing is serving. */
  get(service: string): boolean | undefined;
  /** All of them, "" included. */
  list(): ReadonlyMap<string, boolean>;
}

/** The state behind the health service; the server itself says when it is up. */
export class HealthState implements Health {
  readonly #serving = new Map<string, boolean>();
  readonly #listeners = new Set<() => void>();
  #isUp = false;

  constructor(services: readonly string[]) {
    for (const service of ["", ...services]) this.#serving.set(service, true);
  }

  set(service: string, serving: boolean): void {
    this.#serving.set(service, serving);
    this.#tell();
  }

  get(service: string): boolean | undefined {
    const serving = this.#serving.get(service);
    return serving === undefined ? undefined : serving && this.#isUp;
  }

  list(): ReadonlyMap<string, boolean> {
    return new Map([...this.#serving].map(([service, serving]) => [service, serving && this.#isUp]));
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  setUp(isUp: boolean): void {
    this.#isUp = isUp;
    this.#tell();
  }

  /** Called after every change, the fall of the server included. Answers how to unsubscribe. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
