import { existsSync } from "node:fs";

/** Between which two steps a process dies: before or after the n-th call of a method of a port. */
export interface CrashPoint {
  readonly port: "store" | "registry";
  readonly method: string;
  readonly when: "before" | "after";
  /** Counts from 1, from the moment of arming. */
  readonly call: number;
}

/** "store.assign:before:1", as it stands in the environment and in test names. */
export function crashPointText({ port, method, when, call }: CrashPoint): string {
  return `${port}.${method}:${when}:${call}`;
}

export function parseCrashPoint(text: string): CrashPoint {
  const match = /^(store|registry)\.(\w+):(before|after):(\d+)$/.exec(text);
  if (match === null) throw new Error(`${JSON.stringify(text)} is no crash point; write store.assign:before:1`);
  const [, port, method, when, call] = match;
  return {
    port: port === "store" ? "store" : "registry",
    method: method!,
    when: when === "before" ? "before" : "after",
    call: Number(call),
  };
}

/**
 * The port, with a process that kills itself (SIGKILL: no handler, no flush, no goodbye) at the point given, once `armFile` exists.
 * "After" means: the call has been answered, and whoever made it has not heard of it.
 */
export function dyingAt<T extends object>(port: T, name: CrashPoint["port"], point: CrashPoint, armFile: string): T {
  if (point.port !== name) return port;
  let calls = 0;
  return new Proxy(port, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      if (property !== point.method) return member.bind(target) as unknown;
      return async (...args: readonly unknown[]): Promise<unknown> => {
        const isThePoint = existsSync(armFile) && (calls += 1) === point.call;
        if (isThePoint && point.when === "before") die();
        const answer: unknown = await Reflect.apply(member, target, args);
        if (isThePoint) die();
        return answer;
      };
    },
  });
}

function die(): void {
  process.kill(process.pid, "SIGKILL");
}
