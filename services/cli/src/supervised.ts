import type { PartFacts } from "./parts.ts";

/** What a part tells `headroom up`, which started it. */
export type ChildMessage =
  | ({ readonly kind: "ready" } & PartFacts)
  /** It cannot start; the text is what stderr would say. */
  | { readonly kind: "failed"; readonly text: string };

/** Set for the children of `headroom up`. */
export const supervisedVariable = "HEADROOM_UP_CHILD";

/** The way to the `headroom up` that started this process. */
export interface Supervisor {
  /** Resolves when it was handed over. */
  tell(message: ChildMessage): Promise<void>;
  /** Aborts when that process is gone, by a kill -9 too: then this one must end as well, or nobody ever would end it. */
  readonly gone: AbortSignal;
}

/** Whether `headroom up` started this process. */
export function isSupervised(env: Readonly<Record<string, string | undefined>>): boolean {
  return env[supervisedVariable] === "1" && process.send !== undefined;
}

/** null: started by hand. */
export function findSupervisor(env: Readonly<Record<string, string | undefined>>): Supervisor | null {
  if (!isSupervised(env)) return null;
  const gone = new AbortController();
  const leave = (): void => gone.abort(new Error("headroom up is gone"));
  process.once("disconnect", leave);
  if (!process.connected) leave();
  return {
    gone: gone.signal,
    tell: (message) =>
      new Promise((resolve) => {
        // Whether it arrived or the other side is gone: there is nothing else to do.
        if (process.connected && process.send !== undefined) process.send(message, () => resolve());
        else resolve();
      }),
  };
}

/** Reads what came over the channel. */
export function childMessageOf(value: unknown): ChildMessage | null {
  if (typeof value !== "object" || value === null) return null;
  const kind: unknown = Reflect.get(value, "kind");
  const text: unknown = Reflect.get(value, "text");
  if (kind === "failed" && typeof text === "string") return { kind, text };
  if (kind !== "ready") return null;
  const grpc: unknown = Reflect.get(value, "grpc");
  const http: unknown = Reflect.get(value, "http");
  const agentId: unknown = Reflect.get(value, "agentId");
  const textOrNull = (field: unknown): string | null => (typeof field === "string" ? field : null);
  return { kind, grpc: textOrNull(grpc), http: textOrNull(http), agentId: textOrNull(agentId) };
}
