/** Why a task does not fit on an agent: one missing thing, with its figures. */

export type MissCode =
  | "not_online"
  | "not_attached"
  | "cordoned"
  | "draining"
  | "owner_hold"
  | "on_probation"
  | "avoided"
  | "wrong_pool"
  | "wrong_type"
  | "wrong_agent"
  | "labels_mismatch"
  | "gpu_model_mismatch"
  | "not_enough_cpu"
  | "not_enough_memory"
  | "not_enough_gpus"
  | "not_enough_vram"
  | "card_not_exclusive";

/** What kind of thing is missing. */
export type MissDimension = "state" | "identity" | "cpu" | "memory" | "gpu_count" | "vram";

export interface Miss {
  readonly code: MissCode;
  readonly dimension: MissDimension;
  /** True when waiting cannot mend it on this agent. */
  readonly permanent: boolean;
  readonly cardId: string | null;
  readonly cardIndex: number | null;
  /** Millicores, MiB or cards, by `dimension`; null for states and identities. */
  readonly needed: number | null;
  readonly free: number | null;
  /** The most there could be for Headroom: min(total, offer). */
  readonly total: number | null;
  /** needed − free, or needed − total where it is permanent; above 0; null where no amount is missing. */
  readonly shortBy: number | null;
  /** What was found or asked for, in a few words ("pool render, not lab"); null where the figures say it all. */
  readonly detail: string | null;
}

const DIMENSION_OF: { readonly [C in MissCode]: MissDimension } = {
  not_online: "state",
  not_attached: "state",
  cordoned: "state",
  draining: "state",
  owner_hold: "state",
  on_probation: "state",
  avoided: "state",
  wrong_pool: "identity",
  wrong_type: "identity",
  wrong_agent: "identity",
  labels_mismatch: "identity",
  gpu_model_mismatch: "identity",
  not_enough_cpu: "cpu",
  not_enough_memory: "memory",
  not_enough_gpus: "gpu_count",
  not_enough_vram: "vram",
  card_not_exclusive: "vram",
};

export const MISS_CODES = Object.keys(DIMENSION_OF) as readonly MissCode[]; // keys of a mapped type over MissCode

type MissFields = { readonly [K in Exclude<keyof Miss, "code" | "dimension">]?: Miss[K] };

export function miss(code: MissCode, fields: MissFields): Miss {
  const dimension = DIMENSION_OF[code];
  return {
    code,
    dimension,
    permanent: fields.permanent ?? dimension === "identity",
    cardId: fields.cardId ?? null,
    cardIndex: fields.cardIndex ?? null,
    needed: fields.needed ?? null,
    free: fields.free ?? null,
    total: fields.total ?? null,
    shortBy: fields.shortBy ?? null,
    detail: fields.detail ?? null,
  };
}
