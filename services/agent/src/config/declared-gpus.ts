import type { ConfigProblem } from "@headroom/runtime";
import type { DeclaredCard } from "../sampling/declared.ts";
import { agentOptions } from "./options.ts";

type Result =
  | { readonly kind: "ok"; readonly value: readonly DeclaredCard[] | null }
  | { readonly kind: "invalid"; readonly problem: ConfigProblem };

const example = "RTX 4090:24,RTX 4090:24";
const maxVramGb = 4_096;

/** Reads `MODEL:VRAM_GB` of each card; "none" alone means that there is none. null: not declared. */
export function parseDeclaredGpus(items: readonly string[] | null): Result {
  if (items === null) return { kind: "ok", value: null };
  if (items.length === 1 && items[0]?.toLowerCase() === "none") return { kind: "ok", value: [] };
  const cards: DeclaredCard[] = [];
  for (const item of items) {
    const match = /^(.+?)\s*:\s*(\d+(?:\.\d+)?)$/.exec(item);
    const vramGb = Number(match?.[2] ?? Number.NaN);
    const model = match?.[1]?.trim() ?? "";
    if (model === "" || model.length > 128) return wrong(item, "is not MODEL:VRAM_GB");
    if (!(vramGb > 0 && vramGb <= maxVramGb))
      return wrong(item, `has a VRAM that is not above 0 and up to ${maxVramGb} GiB`);
    cards.push({ model, vramMib: Math.floor(vramGb * 1_024 + 1e-6) });
  }
  return { kind: "ok", value: cards };
}

function wrong(item: string, problem: string): Result {
  const { env, flag } = agentOptions.declareGpus;
  const message = `${env} (--${flag ?? ""}): ${JSON.stringify(item)} ${problem}; write ${example}, or none for no card`;
  return {
    kind: "invalid",
    problem: {
      setting: "declareGpus",
      env,
      flag,
      given: item,
      allowed: "MODEL:VRAM_GB of each card",
      example,
      message,
    },
  };
}
