/** What would make room for a task on one agent. */
import type { AgentView } from "./agent-view.ts";
import type { HeldRoom } from "./capacity.ts";
import { EndingRoom } from "./ending-room.ts";
import { fit, type Fit, type FitOptions } from "./fit.ts";
import type { MissCode } from "./miss.ts";
import type { Needs } from "./needs.ts";
import type { EpochMs } from "./resources.ts";

/** What stands in the way and is no amount of room. */
export type Obstacle =
  | "not_online"
  | "not_attached"
  | "cordoned"
  | "draining"
  | "owner_hold"
  | "on_probation"
  | "avoided"
  | "no_metrics";

export type Unblock =
  /** Nothing is in the way. */
  | { readonly kind: "nothing" }
  /** It never fits here. */
  | { readonly kind: "never" }
  /** These states have to change first; there may be a lack of room besides. */
  | { readonly kind: "obstacles"; readonly obstacles: readonly Obstacle[] }
  /** These attempts have to end; `expectedAtMs` is null when an end is unknown. */
  | {
      readonly kind: "attempts_end";
      readonly attemptIds: readonly string[];
      readonly expectedAtMs: EpochMs | null;
    }
  /** Only the owner's other programs are in the way. */
  | { readonly kind: "owner_programs_end" };

const OBSTACLE_OF: ReadonlyMap<MissCode, Obstacle> = new Map<MissCode, Obstacle>([
  ["not_online", "not_online"],
  ["not_attached", "not_attached"],
  ["cordoned", "cordoned"],
  ["draining", "draining"],
  ["owner_hold", "owner_hold"],
  ["on_probation", "on_probation"],
  ["avoided", "avoided"],
]);

export function unblock(view: AgentView, needs: Needs, options: FitOptions, found: Fit): Unblock {
  if (found.kind === "fits") return { kind: "nothing" };
  if (found.never) return { kind: "never" };
  const obstacles = found.misses.flatMap(({ code }) => OBSTACLE_OF.get(code) ?? []);
  if (!view.room.sampled) return { kind: "obstacles", obstacles: [...obstacles, "no_metrics"] };
  if (obstacles.length > 0) return { kind: "obstacles", obstacles };
  const ending = endsThatMakeRoom(view, needs, options);
  if (ending === null) return { kind: "owner_programs_end" };
  const ends = ending.map((held) => held.expectedEndAtMs);
  const known = ends.flatMap((end) => (end === null ? [] : [end]));
  const expectedAtMs = known.length === ends.length ? Math.max(...known) : null;
  return { kind: "attempts_end", attemptIds: ending.map((held) => held.attemptId), expectedAtMs };
}

/** Looks at which ends can be left out: each costs a question of whether the task fits. What is not looked at any more counts as needed. */
const MAX_LOOKS = 128;

/**
 * The reservations that have to end for the task to fit, the soonest expected first; null when not even all of them
 * would do. None can be left out of the answer without the task missing room again, unless very many are needed.
 */
export function endsThatMakeRoom(view: AgentView, needs: Needs, options: FitOptions): readonly HeldRoom[] | null {
  const room = new EndingRoom(view);
  let looks = 0;
  const fits = (then: AgentView): boolean => {
    looks += 1;
    return fit(then, needs, options).kind === "fits";
  };
  const enough = room.endFewest(room.inOrder.length, fits);
  if (enough === null) return null;
  // The last one is needed: without it the others were not enough.
  const last = enough - 1;
  const needed: HeldRoom[] = [];
  let place = 0;
  while (place < last) {
    if (looks >= MAX_LOOKS) break;
    place = room.holdAgain(place, last, fits);
    if (place < last) needed.push(...room.inOrder.slice(place, place + 1));
    place += 1;
  }
  return [...needed, ...room.inOrder.slice(Math.min(place, last), enough)];
}
