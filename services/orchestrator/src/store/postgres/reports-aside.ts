/**
 * Reports of plans that somebody else keeps locked wait here, apart from all others, as long as the streams last on which they came. A plan
 * is in a lane of its own: while its lane is at work, what is told of it joins that one, and nothing else waits for it.
 */
import { classifyError } from "@headroom/postgres";
import { Grouped, type GroupedOptions } from "@headroom/runtime";
import type { Patience } from "../model.ts";
import { RowLockedError } from "../row-locked.ts";
import type { Report, ReportAnswer } from "./reports.ts";

/** Each lane takes one connection of the pool while it waits. */
const maxLanes = 3;
/** The lane of all plans for which there is none of their own. */
const sharedLane = "shared";

interface LaneOptions extends GroupedOptions<Report, ReportAnswer> {
  /** Of plans of which some may be free: none is to be held while another is waited for. */
  readonly runShared: GroupedOptions<Report, ReportAnswer>["run"];
}

interface Lane {
  readonly groups: Grouped<Report, ReportAnswer>;
  underWay: number;
}

export class ReportsAside {
  readonly #options: LaneOptions;
  readonly #lanes = new Map<string, Lane>();
  /** How many reports of each plan are under way here. */
  readonly #plans = new Map<string, { readonly laneName: string; underWay: number }>();
  readonly #took = new WeakSet<Patience>();

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#plans.size === 0;
  }

  /** Whatever is told of the plan now has to go the same way, to keep its place. */
  has(planId: string): boolean {
    return this.#plans.has(planId);
  }

  /** It was here before, in vain: nobody else is to wait a second time for what is in its way. */
  tookBefore({ patience }: Report): boolean {
    return patience !== undefined && this.#took.has(patience);
  }

  /** The plan is among those that are here from now on, until the answer. */
  async submit(planId: string, report: Report): Promise<ReportAnswer> {
    const plan = this.#plans.get(planId) ?? { laneName: this.#laneFor(planId), underWay: 0 };
    const isAlone = plan.laneName !== sharedLane;
    const lane = this.#lanes.get(plan.laneName) ?? { groups: this.#newGroups(isAlone), underWay: 0 };
    this.#plans.set(planId, plan);
    this.#lanes.set(plan.laneName, lane);
    plan.underWay += 1;
    lane.underWay += 1;
    if (report.patience !== undefined) this.#took.add(report.patience);
    report.patience?.onLocked();
    try {
      // Those who share a lane come again after a pause of their own: else a plan that is free by then would be taken along by the others for ever.
      return await (isAlone ? untilPlanIsFree(report, () => lane.groups.submit(report)) : lane.groups.submit(report));
    } finally {
      plan.underWay -= 1;
      lane.underWay -= 1;
      if (plan.underWay === 0) this.#plans.delete(planId);
      if (lane.underWay === 0) this.#lanes.delete(plan.laneName);
    }
  }

  #newGroups(isAlone: boolean): Grouped<Report, ReportAnswer> {
    const { runShared, ...options } = this.#options;
    return new Grouped(isAlone ? options : { ...options, run: runShared });
  }

  #laneFor(planId: string): string {
    return this.#lanes.size < maxLanes ? planId : sharedLane;
  }
}

/** Each group waits once: the next one is of all that have come meanwhile. Of a plan that is free, whatever else is locked is no matter of its lane. */
async function untilPlanIsFree({ patience }: Report, submit: () => Promise<ReportAnswer>): Promise<ReportAnswer> {
  for (;;) {
    try {
      return await submit();
    } catch (error) {
      const isPlanLocked = classifyError(error).kind === "conflict" && !(error instanceof RowLockedError);
      if (!isPlanLocked || patience === undefined || patience.signal.aborted) throw error;
    }
  }
}
