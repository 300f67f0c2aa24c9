import type { wire } from "@headroom/contracts";
import { need, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { colourOfState } from "../output/colour.ts";
import { count, shortId } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { word } from "../output/words.ts";
import { loadPlan } from "../plan-file/load-plan.ts";

/** `headroom plan preview FILE`: what would run where, what would wait and why. */
export function planPreview(file: string): Run {
  return async (context) => {
    const { plan, describeField } = await loadPlan(file, context.io);
    const answer = need(await context.client().plans.preview(plan), describeField);
    if (context.isJson) {
      context.printJson("orchestrator", "PreviewPlanResponse", answer);
      return exitCodes.done;
    }
    context.printTable(["NAME", "WOULD", "AGENT", "WHY"], answer.tasks.map(row));
    const waiting = answer.tasks.filter(({ agentId }) => agentId === "").length;
    context.say(
      `now ${count(answer.tasks.length - waiting, "task")} would start, ${waiting} would wait; nothing was kept, and no room is promised`,
    );
    return exitCodes.done;
  };
}

function row(task: wire.DispatchedTask): Cell[] {
  const starts = task.agentId !== "";
  const why = [word("PauseReason", task.pauseReason), task.sentence].filter((part) => part !== "").join(": ");
  return [
    task.name,
    starts ? { text: "start", colour: colourOfState("running") } : { text: "wait", colour: colourOfState("paused") },
    starts ? shortId(task.agentId) : "-",
    why || "-",
  ];
}
