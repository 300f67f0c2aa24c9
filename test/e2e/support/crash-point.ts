import { readFileSync } from "node:fs";
import type { OrchestratorStore, RegistryPort } from "@headroom/orchestrator";

/** A step: a method of one of the orchestrator's two ports. Named by their types, so that a renamed method is found by the compiler. */
export type Step =
  | { readonly port: "store"; readonly method: keyof OrchestratorStore }
  | { readonly port: "registry"; readonly method: keyof RegistryPort };

/** Between which two steps a process dies: before or after the n-th call of a method. */
export type CrashPoint = Step & {
  readonly when: "before" | "after";
  /** Counts from 1, from the moment of arming. */
  readonly call: number;
};

/** "store.assign:before:1", for test names. */
export function crashPointText({ port, method, when, call }: CrashPoint): string {
  return `${port}.${method}:${when}:${call}`;
}

/**
 * The port, in a process that kills itself (SIGKILL: no handler, no flush, no goodbye) at the point that stands in `armFile`; without
 * the file it is the port as it was. "After" means: the call has been answered, and whoever made it has not heard of it.
 */
export function dyingAt<T extends object>(port: T, name: Step["port"], armFile: string): T {
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
    // Written by the test, as JSON of its own crash point.
    return JSON.parse(readFileSync(armFile, "utf8")) as CrashPoint;
  } catch {
    return undefined;
  }
}

function die(): never {
  process.kill(process.pid, "SIGKILL");
  throw new Error("still here after SIGKILL");
}
