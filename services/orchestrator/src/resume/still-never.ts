/**
 * What no agent could ever take goes on to say so while the gate holds: a threshold that is reached again would not start it. Only the registry
 * can tell that an agent has come which could, and behind a closed gate nobody asks it for room. So a poll asks it for its verdict. It asks as well about
 * what the gate has held from the beginning, of which nobody knows yet whether an agent could ever take it. All of it is about words alone: a poll spends
 * little time on it.
 */
import { explanationFromWire } from "@headroom/contracts";
import { type Clock, type Logger, type Timers, withTimeout } from "@headroom/runtime";
import { type Needs, needsGpu } from "@headroom/scheduling";
import { queueShape } from "../accept/queue-shape.ts";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { Held } from "../placing/placer.ts";
import type { RegistryPort } from "../registry/port.ts";
import { isAway } from "../registry/refusal.ts";
import type { QueueHead } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import type { PassRequest } from "./resumer.ts";
import type { Stamper } from "./stamper.ts";

export interface StillNever {
  /**
   * Asks about such tasks of the kinds for which the gate is closed, and about these heads that it holds. Never throws for want of a registry, nor waits long
   * for it: what stands there stays.
   */
  ask(
    request: PassRequest,
    isHeld: (kind: { readonly usesGpu: boolean }) => boolean,
    held: readonly HeldByGate[],
  ): Promise<void>;
  /** What no agent could ever take, as it was found a short while ago; null: an agent could, or nobody has asked. */
  verdictOn(shapeKey: string): Held | null;
}

type HeldByGate = Pick<QueueHead, "shapeKey" | "needs">;

export interface StillNeverOptions {
  readonly store: Pick<OrchestratorStore, "listPaused">;
  readonly registry: Pick<RegistryPort, "explain">;
  readonly stamper: Stamper;
  readonly fleet: Pick<FleetView, "machines">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Of so many rows each, by turns: the next poll goes on behind them. */
const rowsOfPage = 100;
const maxPages = 10;
/** Each is a question to the registry. */
const maxShapes = 100;
/** Besides, so many about what the gate holds, each once in a while: agents that could take it come and go. */
const maxHeld = 50;
/** All questions of a poll together take no longer, and those about what the gate holds leave half of it to the others. */
const longestMs = 500;
const longestHeldMs = 250;
const askedAgainMs = 60_000;
/** As long a word is believed: until it has been asked for again, and somewhat longer. */
const believedMs = 120_000;
const maxRemembered = 10_000;

interface Verdict {
  readonly atMs: number;
  /** Null: an agent could take it, or the registry did not say. */
  readonly never: Held | null;
  /** `FleetView.machines` when it was asked for: one that has come since may be the one that could. */
  readonly machines: number;
}

class LateError extends Error {}

export function createStillNever(options: StillNeverOptions): StillNever {
  const { store, fleet, clock } = options;
  /** Null: the next poll begins at the front of the queue. */
  let goOnBehind: string | null = null;
  /** Of the page behind it the shapes that the last poll has asked about, when it had no time for the rest. */
  let askedBehind: ReadonlySet<string> = new Set();
  /** The oldest first. */
  const verdicts = new Map<string, Verdict>();

  const isOver = (endsAtMs: number): boolean => clock.monotonic() >= endsAtMs;

  function remember(shapeKey: string, told: Held | null, machines: number): void {
    verdicts.delete(shapeKey);
    const oldest = verdicts.size >= maxRemembered ? verdicts.keys().next().value : undefined;
    if (oldest !== undefined) verdicts.delete(oldest);
    const never = told?.reason === "NO_AGENT_CAN_EVER_FIT" ? told : null;
    verdicts.set(shapeKey, { atMs: clock.monotonic(), never, machines });
  }

  function isYoungerThan(verdict: Verdict | undefined, ageMs: number): verdict is Verdict {
    if (verdict === undefined || clock.monotonic() - verdict.atMs >= ageMs) return false;
    return verdict.never === null || verdict.machines === fleet.machines();
  }

  /** Those of which nothing is known first. */
  function toAsk(held: readonly HeldByGate[]): readonly HeldByGate[] {
    const due = held.filter(({ shapeKey }) => !isYoungerThan(verdicts.get(shapeKey), askedAgainMs));
    const askedAtMs = ({ shapeKey }: HeldByGate): number => verdicts.get(shapeKey)?.atMs ?? Number.NEGATIVE_INFINITY;
    const unknown = due.filter(({ shapeKey }) => !verdicts.has(shapeKey));
    const known = due.filter(({ shapeKey }) => verdicts.has(shapeKey)).sort((a, b) => askedAtMs(a) - askedAtMs(b));
    return [...unknown, ...known].slice(0, maxHeld);
  }

  /** What does not come in time is not asked for again at once, so that others have their turn. */
  async function askAbout(shapeKey: string, needs: Needs, endsAtMs: number): ReturnType<typeof verdictOf> {
    const machines = fleet.machines();
    const told = await verdictOf(options, needs, endsAtMs);
    if (told !== "away") remember(shapeKey, told === "late" ? null : told, machines);
    return told;
  }

  /** Null: there is nobody to go on asking. */
  async function askAboutHeld(
    { signal }: PassRequest,
    held: readonly HeldByGate[],
    endsAtMs: number,
  ): Promise<Map<string, Held | null> | null> {
    const answers = new Map<string, Held | null>();
    for (const { shapeKey, needs } of toAsk(held)) {
      if (signal.aborted) return null;
      if (isOver(endsAtMs)) break;
      const told = await askAbout(shapeKey, needs, endsAtMs);
      if (told === "away") return null;
      if (told !== "late") answers.set(shapeKey, told);
    }
    return answers;
  }

  /** Where the next poll goes on; a pass over one plan is none. */
  function stopAt({ planId }: PassRequest, behind: string | null, asked: ReadonlySet<string>): void {
    if (planId !== null) return;
    goOnBehind = behind;
    askedBehind = asked;
  }

  return {
    async ask(request, isHeld, held) {
      const { planId } = request;
      const beganMs = clock.monotonic();
      const endsAtMs = beganMs + longestMs;
      const answers = await askAboutHeld(request, held, beganMs + longestHeldMs);
      if (answers === null) return;
      const seen = new Set(planId === null ? askedBehind : []);
      let after = planId === null ? goOnBehind : null;
      for (let page = 0; page < maxPages && answers.size < maxShapes; page += 1) {
        const filter = { planId, reasons: ["NO_AGENT_CAN_EVER_FIT"] as const };
        const { items, next } = await store.listPaused(filter, { limit: rowsOfPage, after });
        const stopHere = (): void => {
          const shapes = items.map(({ needs }) => queueShape(needs));
          stopAt(request, after, new Set(shapes.filter((shape) => seen.has(shape))));
        };
        for (const { needs, pause } of items) {
          const key = queueShape(needs);
          if (request.signal.aborted || seen.has(key) || !isHeld({ usesGpu: needsGpu(needs) })) continue;
          const known = answers.get(key) ?? null;
          if (known === null && isOver(endsAtMs)) return stopHere();
          seen.add(key);
          const told = known ?? (await askAbout(key, needs, endsAtMs));
          if (told === "away" || told === "late") return stopHere();
          answers.set(key, told);
          if (told === null || (told.reason === "NO_AGENT_CAN_EVER_FIT" && told.sentence === pause.sentence)) continue;
          await options.stamper.stamp(new Map([[key, told]]), request);
        }
        after = next;
        if (next === null) break;
      }
      stopAt(request, after, new Set());
    },
    verdictOn(shapeKey) {
      const verdict = verdicts.get(shapeKey);
      return isYoungerThan(verdict, believedMs) ? verdict.never : null;
    },
  };
}

/** Null: it says nothing of what an agent could take. What it does not answer about one kind keeps nobody from asking about the next. */
async function verdictOf(
  { registry, clock, timers, logger }: StillNeverOptions,
  needs: Needs,
  endsAtMs: number,
): Promise<Held | "away" | "late" | null> {
  const leftMs = endsAtMs - clock.monotonic();
  try {
    return heldFrom(await withTimeout(timers, leftMs, registry.explain(needs, 1), () => new LateError()));
  } catch (error) {
    if (error instanceof LateError) return "late";
    logger.debug({ err: error }, "the registry could not be asked about what no agent could ever take");
    return isAway(error) ? "away" : null;
  }
}

/** Null: nobody is online. That does not end what stands there. */
function heldFrom({ explanation }: Awaited<ReturnType<RegistryPort["explain"]>>): Held | null {
  const read = explanationFromWire(explanation);
  if (read.kind === "invalid" || read.value.verdict === "no_agent_online") return null;
  // Where it would fit at once, the gate says in the next moment why it does not start.
  return { reason: read.value.reason ?? "AWAITING_TURN", sentence: read.value.sentence };
}
