/** Programs that follow plans to their ends, and ask from where they were when a stream breaks. */
import { wire } from "@headroom/contracts";
import { createClient, HeadroomError, type RpcClient } from "@headroom/rpc";
import type { Facts, Violation } from "../../support/invariants/facts.ts";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { SimNetwork } from "../network/sim-network.ts";
import { orchestratorAddress, simToken } from "./services.ts";
import { traceLogger } from "./trace-logger.ts";

/** Each asks every few seconds, and there is more to look at than what they do. */
const mostFollowed = 2;
const againMs = 1_000;
const wrong = new Set(["INVALID_ARGUMENT", "INTERNAL", "UNIMPLEMENTED", "NOT_FOUND", "OUT_OF_RANGE"]);

/** What one of them has heard. */
export interface Followed {
  readonly planId: string;
  readonly eventIds: number[];
  /** Its stream came to its end: the plan has ended. */
  hasEnded: boolean;
}

export class Followers {
  readonly followed: Followed[] = [];
  readonly #engine: Engine;
  readonly #process: SimProcess;
  readonly #plans: RpcClient<typeof wire.PlanServiceService>;

  constructor(engine: Engine, network: SimNetwork) {
    this.#engine = engine;
    this.#process = engine.process("follower");
    const channel = network.for(this.#process).channel({
      address: orchestratorAddress,
      ports: this.#process.ports,
      logger: traceLogger(engine, this.#process),
      token: simToken,
    });
    this.#plans = createClient(wire.PlanServiceService, channel);
  }

  /** Plans whose streams have not come to their ends. */
  get open(): number {
    return this.followed.filter(({ hasEnded }) => !hasEnded).length;
  }

  /** Some of them. */
  follow(planId: string): void {
    if (this.followed.length >= mostFollowed || this.#engine.random.next() < 0.5) return;
    const one: Followed = { planId, eventIds: [], hasEnded: false };
    this.followed.push(one);
    this.#process.do(`follows ${planId}`, () => void this.#read(one));
  }

  async #read(one: Followed): Promise<void> {
    const { planId, eventIds } = one;
    try {
      for await (const { event } of this.#plans.watchPlan({ planId, afterEventId: eventIds.at(-1) ?? 0 }))
        eventIds.push(event?.eventId ?? -1);
      one.hasEnded = true;
      this.#engine.note("follower", `${planId} has ended`);
    } catch (error) {
      if (!(error instanceof HeadroomError) || wrong.has(error.code)) return this.#engine.fail(error);
      this.#engine.note("follower", `${planId}: ${error.reason}`, false);
      this.#engine.schedule(againMs, this.#process, `follows ${planId} again`, () => void this.#read(one));
    }
  }
}

const ends = new Set(["PLAN_SUCCEEDED", "PLAN_FAILED", "PLAN_CANCELLED"]);

/** V28: who follows a plan is told each of its events once, in their order, up to its end. */
export function findMissed(followed: readonly Followed[], { events }: Facts): readonly Violation[] {
  return followed.flatMap(({ planId, eventIds, hasEnded }): readonly Violation[] => {
    const last = eventIds.at(-1) ?? 0;
    const written = events.filter((event) => event.planId === planId && event.eventId <= last);
    const found = (what: string): readonly Violation[] => [
      { invariant: "V28", what: `who followed plan ${planId} ${what}` },
    ];
    const place = written.findIndex(({ eventId }, index) => eventId !== eventIds[index]);
    if (place >= 0) return found(`heard ${eventIds[place] ?? "nothing"} instead of event ${written[place]?.eventId}`);
    if (eventIds.length > written.length) return found(`heard event ${eventIds[written.length]}, which is not written`);
    if (hasEnded && !written.some(({ kind }) => ends.has(kind))) return found("was not told that it ended");
    return [];
  });
}
