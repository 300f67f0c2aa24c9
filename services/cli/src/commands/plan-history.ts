import type { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { planIdOf, taskOfPlan } from "../ids.ts";
import { instant, shortId } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { jsonOf, timeOf } from "../output/words.ts";
import { eventWhy } from "../watch/progress.ts";

export interface HistoryOptions {
  readonly task?: string;
  /** The newest so many. */
  readonly limit: number;
}

const pageSize = 1_000;

/** `headroom plan history ID`. As JSON: one PlanEvent a line. */
export function planHistory(given: string, options: HistoryOptions): Run {
  return async (context) => {
    const planId = await planIdOf(context, given, "read");
    const taskId = options.task === undefined ? "" : await taskOfPlan(context, planId, options.task, "read");
    const { events, leftOut, trimmed } = await newestEvents(context, planId, taskId, options.limit);
    if (trimmed) context.say("its oldest events have been deleted, for their age");
    if (leftOut > 0) context.say(`${leftOut} older ones are not shown; --limit shows more`);
    if (context.isJson) {
      for (const event of events) {
        context.io.stdout.write(`${JSON.stringify(jsonOf("orchestrator", "PlanEvent", event))}\n`);
      }
      return exitCodes.done;
    }
    context.printTable(["AT", "TASK", "WHAT", "BY", "AGENT", "WHY"], events.map(eventRow));
    return exitCodes.done;
  };
}

async function newestEvents(
  context: CommandContext,
  planId: string,
  taskId: string,
  limit: number,
): Promise<{ readonly events: readonly wire.PlanEvent[]; readonly leftOut: number; readonly trimmed: boolean }> {
  let events: wire.PlanEvent[] = [];
  let leftOut = 0;
  let pageToken = "";
  let trimmed = false;
  do {
    const page = need(await context.client().plans.events(planId, { taskId, pageSize, pageToken }));
    const all = [...events, ...page.events];
    leftOut += Math.max(0, all.length - limit);
    events = all.slice(-limit);
    pageToken = page.nextPageToken;
    trimmed = page.trimmedThroughEventId > 0;
  } while (pageToken !== "");
  return { events, leftOut, trimmed };
}

function eventRow(event: wire.PlanEvent): Cell[] {
  return [
    instant(timeOf(event.at)),
    event.taskId === "" ? "(plan)" : event.taskName,
    event.kind
      .toLowerCase()
      .replace(/^(task|plan)_/, "")
      .replaceAll("_", " "),
    event.actor,
    event.agentId === "" ? "-" : shortId(event.agentId),
    eventWhy(event) || "-",
  ];
}
