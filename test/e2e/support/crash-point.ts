import { readFileSync } from "node:fs";

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
 * The port, in a process that kills itself (SIGKILL: no handler, no flush, no goodbye) at the point that stands in `armFile`; without
 * the file it is the port as it was. "After" means: the call has been answered, and whoever made it has not heard of it.
 */
export function dyingAt<T extends object>(port: T, name: CrashPoint["port"], armFile: string): T {
  let calls = 0;
  return new Proxy(port, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      return (...args: readonly unknown[]): unknown => {
        const point = pointIn(armFile);
        const concerned = point?.port === name && point.method === property && (calls += 1) === point.call;
        if (concerned && point.when === "before") die();
        const answer: unknown = Reflect.apply(member, target, args);
        return concerned ? dieOnceAnswered(answer) : answer;
      };
    },
  });
}

async function dieOnceAnswered(answer: unknown): Promise<never> {
  await answer;
  return die();
}

function pointIn(armFile: string): CrashPoint | undefined {
  try {
    return parseCrashPoint(readFileSync(armFile, "utf8"));
  } catch {
    return undefined;
  }
}

function die(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("still here after SIGKILL");
}
