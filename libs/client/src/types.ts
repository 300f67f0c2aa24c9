import type { wire } from "@headroom/contracts";

/** `T` with everything optional, all the way down: what a caller leaves out has the contract's default. */
export type DeepPartial<T> = T extends Date | Uint8Array | string | number | boolean | undefined
  ? T
  : T extends readonly (infer U)[]
    ? DeepPartial<U>[]
    : T extends object
      ? { [K in keyof T]?: DeepPartial<T[K]> }
      : T;

/** A plan as a program writes it. */
export type PlanInput = DeepPartial<wire.WorkPlan>;
/** Needs as a program writes them. */
export type NeedsInput = DeepPartial<wire.ResourceNeeds>;

/** What may be set on every call. */
export interface CallSettings {
  /**
   * Time the call may take in all, retries included. Default: the client's `timeoutMs`; of `plans.dispatch` and `plans.preview` at least
   * 30,000 ms.
   */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** W3C trace context (`traceparent`) of the program: kept in the history beside what the call changed. */
  readonly traceparent?: string;
}
