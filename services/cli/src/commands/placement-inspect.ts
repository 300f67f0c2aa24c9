import { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { amount, count, gb, instant } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import type { Cell } from "../output/table.ts";
import { timeOf } from "../output/words.ts";
import { needsText } from "./task.ts";

/** `headroom placement inspect`: which policy decides, and what it has learned. As JSON: InspectPlacementResponse. */
export function placementInspect({ limit }: { readonly limit: number }): Run {
  return async (context) => {
    const answer = need(await context.client().fleet.inspectPlacement({ maxShapes: limit, maxHoles: limit }));
    if (context.isJson) context.printJson("registry", "InspectPlacementResponse", answer);
    else print(context, answer);
    return exitCodes.done;
  };
}

function print(context: CommandContext, answer: wire.InspectPlacementResponse): void {
  const { policy, policies, agents, distinctStates, arrivals, shapeCount, sentences } = answer;
  const others = policies.filter((name) => name !== policy).join(", ");
  const since = timeOf(answer.learningSince);
  context.printFacts([
    ["policy", `${policy} (a request may name ${others})`],
    ["fleet", `${count(agents, "agent")} ready for work, in ${count(distinctStates, "state")}`],
    ["learned from", `${count(arrivals, "task")}${since === null ? "" : ` since ${instant(since)}`}`],
    ["told apart", count(shapeCount, "kind")],
  ]);
  context.io.stdout.write("\n");
  for (const sentence of sentences) context.io.stdout.write(`${printable(sentence)}\n`);
  table(context, ["OF 100 TASKS", "NEED"], answer.shapes.map(shapeRow));
  table(context, ["MODEL", "ASKED FOR BY NAME", "OF THE FLEET", "PRICE"], answer.models.map(modelRow));
  table(context, ["CARDS", "FREE", "OF", "FILLED PER 1000 TASKS"], answer.holes.map(holeRow));
}

function table(context: CommandContext, titles: readonly string[], rows: readonly (readonly Cell[])[]): void {
  if (rows.length === 0) return;
  context.io.stdout.write("\n");
  context.printTable(titles, rows);
}

function shapeRow({ share, ...needs }: wire.LearnedShape): readonly Cell[] {
  const { cpuCores, gpuCount, gpuVramGb, gpuExclusive, gpuModels } = needs;
  const asked = { cpuCores, gpuCount, gpuExclusive, gpuModels: [...gpuModels], ...(gpuCount > 0 && { gpuVramGb }) };
  return [amount(share * 100), needsText(wire.ResourceNeeds.fromPartial(asked))];
}

function modelRow({ model, vramGb, demandShare, supplyShare, price }: wire.LearnedModel): readonly Cell[] {
  return [`${model} ${gb(vramGb)}`, `${amount(demandShare * 100)} %`, `${amount(supplyShare * 100)} %`, amount(price)];
}

function holeRow({ cards, freeFromGb, freeToGb, cardVramGb, filledPerThousand }: wire.LearnedHole): readonly Cell[] {
  const filled = filledPerThousand === undefined ? "not known yet" : amount(filledPerThousand);
  return [String(cards), `${amount(freeFromGb)} to ${gb(freeToGb)}`, gb(cardVramGb), filled];
}
