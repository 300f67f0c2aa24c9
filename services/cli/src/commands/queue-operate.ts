import type { wire } from "@headroom/contracts";
import { need, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { instant } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { timeOf } from "../output/words.ts";
import { whoIsThis } from "../who.ts";
import { holdText, type WhyFlags } from "./plan-operate.ts";

/** `headroom queue hold` */
export function queueHold({ reason, by }: WhyFlags): Run {
  return async (context) => {
    const answer = need(await context.client().queue.hold({ reason, heldBy: by ?? whoIsThis() }));
    if (context.isJson) context.printJson("orchestrator", "HoldQueueResponse", answer);
    else {
      context.say(`the queue is held${answer.hold === undefined ? "" : holdText(answer.hold)}`);
      context.say("nothing new starts, what runs goes on; let it go: headroom queue release");
    }
    return exitCodes.done;
  };
}

/** `headroom queue release` */
export function queueRelease({ reason, by }: WhyFlags): Run {
  return async (context) => {
    const answer = need(await context.client().queue.release({ reason, releasedBy: by ?? whoIsThis() }));
    if (context.isJson) context.printJson("orchestrator", "ReleaseQueueResponse", answer);
    else if (answer.released === undefined) context.say("the queue was not held");
    else context.say(`the queue is released; it was held${holdText(answer.released)}`);
    return exitCodes.done;
  };
}

/** What `--limit` of `queue history` goes up to: one page. */
export const mostQueueEvents = 1_000;

/** `headroom queue history` */
export function queueHistory(limit: number): Run {
  return async (context) => {
    const answer = need(await context.client().queue.events({ pageSize: limit }));
    if (context.isJson) context.printJson("orchestrator", "ListQueueEventsResponse", answer);
    else if (answer.events.length === 0) context.say("nobody has held the queue");
    else context.printTable(["AT", "WHAT", "BY", "WHY"], answer.events.map(eventRow));
    if (answer.nextPageToken !== "") context.say(`older ones are not shown; --limit shows up to ${mostQueueEvents}`);
    return exitCodes.done;
  };
}

function eventRow(event: wire.QueueEvent): Cell[] {
  const what = event.kind.toLowerCase().replace(/^queue_/, "");
  return [instant(timeOf(event.at)), what, event.by || "-", event.reason || "-"];
}
