import { queueHoldSentence } from "../operate/queue-hold-view.ts";
import type { HoldRecord } from "../store/model.ts";
import { fullStop } from "./full-stop.ts";

/** Whatever keeps a task from starting by the will of an operator: both may at once, and then both have to end. */
export interface Holds {
  readonly planId: string;
  readonly plan: HoldRecord | null;
  readonly queue: HoldRecord | null;
}

/** Who holds it since when, and what ends each hold. Empty: nobody does. */
export function holdSentence(holds: Holds): string {
  const { plan, queue } = holds;
  const said = [plan === null ? [] : planHoldSentence(plan), queue === null ? [] : queueHoldSentence(queue)].flat();
  if (said.length === 0) return "";
  const [first, second] = holdWaysOut(holds);
  const ends = second === undefined ? `${first} ends that.` : `Both have to end: ${first}, and ${second}.`;
  return [...said.map(fullStop), ends].join(" ");
}

/** The commands that let it go on. */
export function holdWaysOut({ planId, plan, queue }: Holds): readonly string[] {
  return [
    ...(plan === null ? [] : [`headroom plan release ${planId}`]),
    ...(queue === null ? [] : ["headroom queue release"]),
  ];
}

function planHoldSentence(hold: HoldRecord): string {
  const by = hold.heldBy === "" ? "" : ` by ${hold.heldBy}`;
  const why = hold.reason === "" ? "" : `: ${hold.reason}`;
  return `Its plan is held${by} since ${new Date(hold.heldAtMs).toISOString()}${why}`;
}
