/**
 * What no agent could ever take goes on to say so while the gate holds: a threshold that is reached again would not start it. Only the registry
 * can tell that an agent has come which could, and behind a closed gate nobody asks it for room. So a poll asks it for its verdict.
 */
import { explanationFromWire } from "@headroom/contracts";
import type { Logger } from "@headroom/runtime";
import { type Needs, needsGpu } from "@headroom/scheduling";
import { queueShape } from "../accept/queue-shape.ts";
import type { Held } from "../placing/placer.ts";
import type { RegistryPort } from "../registry/port.ts";
import { isAway } from "../registry/refusal.ts";
import type { OrchestratorStore } from "../store/port.ts";
import type { PassRequest } from "./resumer.ts";
import type { Stamper } from "./stamper.ts";

export interface StillNever {
  /** Asks about such tasks of the kinds for which the gate is closed. Never throws for want of a registry: what stands there stays. */
  ask(request: PassRequest, isHeld: (kind: { readonly usesGpu: boolean }) => boolean): Promise<void>;
}

export interface StillNeverOptions {
  readonly store: Pick<OrchestratorStore, "listPaused">;
  readonly registry: Pick<RegistryPort, "explain">;
  readonly stamper: Stamper;
  readonly logger: Logger;
}

/** Of so many rows each, by turns: the next poll goes on behind them. */
const rowsOfPage = 100;
const maxPages = 10;
/** Each is a question to the registry. */
const maxShapes = 100;

export function createStillNever(options: StillNeverOptions): StillNever {
  const { store } = options;
  /** Null: the next poll begins at the front of the queue. */
  let goOnBehind: string | null = null;
  return {
    async ask(request, isHeld) {
      const { planId } = request;
      const asked = new Set<string>();
      let after = planId === null ? goOnBehind : null;
      for (let page = 0; page < maxPages && asked.size < maxShapes; page += 1) {
        const filter = { planId, reasons: ["NO_AGENT_CAN_EVER_FIT"] as const };
        const { items, next } = await store.listPaused(filter, { limit: rowsOfPage, after });
        after = next;
        for (const { needs, pause } of items) {
          const key = queueShape(needs);
          if (request.signal.aborted || asked.has(key) || !isHeld({ usesGpu: needsGpu(needs) })) continue;
          asked.add(key);
          if (!(await askAbout(options, request, { key, needs, sentence: pause.sentence }))) return;
        }
        if (next === null) break;
      }
      if (planId === null) goOnBehind = after;
    },
  };
}

/** False: the registry cannot be asked. What it does not answer about one kind keeps nobody from asking about the next. */
async function askAbout(
  { registry, stamper, logger }: StillNeverOptions,
  request: PassRequest,
  { key, needs, sentence }: { readonly key: string; readonly needs: Needs; readonly sentence: string },
): Promise<boolean> {
  let told: Held | null;
  try {
    told = heldFrom(await registry.explain(needs, 1));
  } catch (error) {
    logger.debug({ err: error }, "the registry could not be asked about what no agent could ever take");
    return !isAway(error);
  }
  const isNews = told !== null && (told.reason !== "NO_AGENT_CAN_EVER_FIT" || told.sentence !== sentence);
  if (told !== null && isNews) await stamper.stamp(new Map([[key, told]]), request);
  return true;
}

/** Null: it says nothing of what an agent could take. */
function heldFrom({ explanation }: Awaited<ReturnType<RegistryPort["explain"]>>): Held | null {
  const read = explanationFromWire(explanation);
  if (read.kind === "invalid" || read.value.verdict === "no_agent_online") return null;
  // Where it would fit at once, the gate says in the next moment why it does not start.
  return { reason: read.value.reason ?? "AWAITING_TURN", sentence: read.value.sentence };
}
