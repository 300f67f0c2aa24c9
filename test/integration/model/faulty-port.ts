/** How a process is, as far as the outside can tell: all that it does goes through its ports. */
export interface Fate {
  /** The next calls come through; the `calls`-th from now dies with the process, before or after it took effect. */
  dieAt(calls: number, when: "before" | "after"): void;
  isDead(): boolean;
  /** From now on nothing of this process reaches the outside. */
  die(): void;
  /** Calls neither begin nor come back until `thaw`: the process stands still, its timers with it. */
  freeze(): void;
  thaw(): void;
  /** Resolves once it has died. */
  readonly died: Promise<void>;
}

export interface FateControl extends Fate {
  /** Runs one call under this fate. */
  through<T>(call: () => Promise<T>): Promise<T>;
}

export function createFate(): FateControl {
  let dead = false;
  let left: { calls: number; when: "before" | "after" } | null = null;
  let thawed: Promise<void> = Promise.resolve();
  let release: (() => void) | null = null;
  let tellDied: () => void = () => undefined;
  const died = new Promise<void>((resolve) => {
    tellDied = resolve;
  });

  function die(): void {
    dead = true;
    tellDied();
  }
  function assertAlive(): void {
    if (dead) throw Object.assign(new Error("this process is dead"), { code: "ECONNREFUSED" });
  }

  return {
    died,
    die,
    isDead: () => dead,
    dieAt(calls, when) {
      left = { calls, when };
    },
    freeze() {
      if (release !== null) return;
      thawed = new Promise<void>((resolve) => {
        release = resolve;
      });
    },
    thaw() {
      release?.();
      release = null;
    },
    async through(call) {
      await thawed;
      assertAlive();
      if (left !== null) left.calls -= 1;
      const isLast = left !== null && left.calls <= 0;
      if (isLast && left?.when === "before") die();
      assertAlive();
      const answer = await call();
      if (isLast) die();
      await thawed;
      assertAlive();
      return answer;
    },
  };
}

/** The port, each of whose methods answers a promise, under a fate. */
export function underFate<T extends object>(port: T, fate: FateControl): T {
  return new Proxy(port, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      return (...args: readonly unknown[]): unknown =>
        fate.through(() => Promise.resolve(Reflect.apply(member, target, args)));
    },
  });
}
