import type { Logger } from "@headroom/runtime";
import type { Needs } from "@headroom/scheduling";
import type { CapacityAnswer } from "../registry/port.ts";
import type { HandlerDeps } from "./deps.ts";

/** What the registry says of some needs, or why it says nothing. */
export type RegistryWord =
  | { readonly kind: "told"; readonly capacity: CapacityAnswer }
  | { readonly kind: "unavailable"; readonly sentence: string };

/** Never throws, and is not kept waiting by a registry that is known to give no sign of life. */
export async function askRegistry(
  { fleet, registry }: Pick<HandlerDeps, "fleet" | "registry">,
  needs: Needs,
  maxAgents: number,
  logger: Logger,
): Promise<RegistryWord> {
  const snapshot = fleet.snapshot();
  if (snapshot.kind === "down") return { kind: "unavailable", sentence: snapshot.sentence };
  try {
    return { kind: "told", capacity: await registry.explain(needs, maxAgents) };
  } catch (error) {
    logger.warn({ err: error }, "the registry could not be asked for an explanation");
    const why = error instanceof Error ? error.message : "it does not answer";
    return { kind: "unavailable", sentence: `The registry cannot be asked: ${why}` };
  }
}
