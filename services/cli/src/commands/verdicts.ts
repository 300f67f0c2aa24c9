import type { wire } from "@headroom/contracts";
import type { CommandContext } from "../context.ts";
import { shortId } from "../output/format.ts";
import type { Cell } from "../output/table.ts";

/** The registry's verdicts, agent by agent, below what was said of the fleet; nothing where it gave none. */
export function printVerdicts(context: CommandContext, verdicts: readonly wire.AgentVerdict[]): void {
  if (verdicts.length === 0) return;
  context.io.stdout.write("\n");
  context.printTable(["AGENT", "HOST", "VERDICT", "WHAT IS MISSING", "WHAT WOULD HELP"], verdicts.map(verdictRow));
}

function verdictRow(verdict: wire.AgentVerdict): Cell[] {
  const fits: Cell = verdict.fits
    ? { text: "fits", colour: "green" }
    : { text: verdict.never ? "never" : "not now", colour: verdict.never ? "red" : "yellow" };
  const misses = verdict.misses.map(({ sentence }) => sentence).join("; ");
  return [shortId(verdict.agentId), verdict.hostname, fits, misses || "-", verdict.unblock || "-"];
}
