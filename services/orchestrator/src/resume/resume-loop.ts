import { classifyError, isRefusal } from "@headroom/postgres";
import {
  type Counter,
  jitter,
  lifecycle,
  type Logger,
  type ManagedService,
  type Ports,
  RunLoop,
  type Timer,
} from "@headroom/runtime";
import type { FleetNews, FleetView } from "../fleet-view/fleet-view.ts";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { KeptRoom } from "../placing/kept-room.ts";
import type { OrchestratorStore } from "../store/port.ts";
import type { Resumer } from "./resumer.ts";

export interface ResumeLoopOptions {
  readonly resumer: Pick<Resumer, "pass">;
  readonly store: Pick<OrchestratorStore, "nextDueInMs">;
  readonly fleet: Pick<FleetView, "onNews">;
  readonly avoided: Pick<AvoidedAgents, "endsInMs" | "onAvoided">;
  readonly kept: Pick<KeptRoom, "endsInMs" | "onChange">;
  /** Whether this replica has the agent's work stream. */
  readonly holds: (agentId: string) => boolean;
  readonly ports: Ports;
  readonly logger: Logger;
  /** PAUSE_POLLING_INTERVAL_SECONDS. */
  readonly intervalMs: number;
  /** R-PAUSE-7: 30 s. */
  readonly errorDelayMs: number;
  readonly metrics: { readonly pollFound: Counter };
}

export interface ResumeLoop extends ManagedService {
  /** Something may have changed: look now. */
  wake(cause: string): void;
  /** When the last pass ended, epoch ms by this process's clock; null before. */
  lastPassAtMs(): number | null;
}

/** After an error events are heeded again from here on: they may say that what was away has come back. */
const deafAfterErrorMs = 1_000;
/** Room on an agent of another replica is left to that one for so long; what it has not filled by then is everybody's. */
const leaveToOthersMs = 50;
/**
 * What a registry process refused that was behind, or did not answer, is looked at again after so long, then after twice as long each time, up to
 * the longest.
 */
const firstAgainMs = 500;
const longestAgainMs = 10_000;
/** What is due and was not taken, because another transaction holds it, is looked for again after so long. */
const heldAgainMs = 250;

/** Of the time after an error: the loop's own try comes within a tenth more of it. */
const behindOwnTry = 1.2;

/** For people, who may see no more of a line than its message. */
function causeOf(error: unknown): string {
  if (classifyError(error).kind === "unavailable" && !isRefusal(error)) return "the database does not answer now";
  return error instanceof Error ? error.message : String(error);
}

/** R-PAUSE-7: a pass every interval, and whenever something is heard of. The poll is the truth, what is heard only a hint. */
export function createResumeLoop(options: ResumeLoopOptions): ResumeLoop {
  const { resumer, store, ports, logger, intervalMs, holds } = options;
  let lastPassAtMs: number | null = null;
  let polledAtMs = Number.NEGATIVE_INFINITY;
  let isPoll = false;
  let pollTimer: Timer | undefined;
  let timer: Timer | undefined;
  let othersTimer: Timer | undefined;
  let againTimer: Timer | undefined;
  let againMs = firstAgainMs;
  let leave: readonly (() => void)[] = [];
  /** Why passes fail, as it was told last; null: they do not. */
  let toldCause: string | null = null;
  /** Since the last pass only room on agents held here was heard of. */
  let onlyOurs = true;

  const loop = new RunLoop({
    name: "resume loop",
    ports,
    intervalMs,
    errorDelayMs: options.errorDelayMs,
    deafAfterErrorMs,
    jitterFraction: 0.1,
    async run(signal, cause) {
      // Each wake-up begins the interval anew: where events come all the time, the poll takes its turn among them.
      const isOverdue = ports.clock.monotonic() - polledAtMs >= intervalMs;
      const polled = cause === "interval" || cause === "start" || cause === "retry" || isOverdue;
      isPoll = polled;
      if (polled) {
        polledAtMs = ports.clock.monotonic();
        pollTimer?.cancel();
      }
      const isNarrow = onlyOurs && !polled;
      onlyOurs = true;
      const isMeant = isNarrow ? { isMeant: holds } : {};
      const result = await resumer.pass({ planId: null, cause, thorough: polled, ...isMeant, signal });
      lastPassAtMs = ports.clock.now();
      const found = result.resumed - result.takenOver;
      if (cause === "interval" && found > 0) {
        options.metrics.pollFound.inc(found);
        logger.warn({ resumed: found }, "the poll found work that no event had told of");
      }
      // A pass that might fill a part of the room only says nothing of the rest.
      const isInVain = result.isRefusedInVain || result.endedAt === "registry away";
      if (isInVain || !isNarrow) setAgainTimer(isInVain);
      await setTimer();
      if (toldCause !== null) logger.info("passes over the queue work again");
      toldCause = null;
    },
    onError: (error, cause) => failed(error, cause),
  });

  /** An Outage that is an error, and is told of again when it has another cause. */
  function failed(error: unknown, cause: string): void {
    const why = causeOf(error);
    logger[why === toldCause ? "debug" : "error"](
      { err: error, cause, retry_in_ms: options.errorDelayMs },
      `a pass over the queue failed (${why}); nothing is lost, it is tried again`,
    );
    toldCause = why;
    // What it was to look at has been heard of, and will not be told again.
    onlyOurs = false;
    if (isPoll) pollAgain();
  }

  /**
   * An event that comes before the loop's own try is answered, and the interval begins anew: the poll that failed is owed all the same. Not before R-PAUSE-7's
   * time is over: where only polls fail, events go on to be answered meanwhile.
   */
  function pollAgain(): void {
    polledAtMs = ports.clock.monotonic() + options.errorDelayMs - intervalMs;
    pollTimer?.cancel();
    pollTimer = ports.timers.after(options.errorDelayMs * behindOwnTry, () => wake("a poll has failed"), {
      keepAlive: false,
    });
  }

  /** A row that falls due is no event. */
  async function setTimer(): Promise<void> {
    timer?.cancel();
    const dueInMs = await store.nextDueInMs();
    if (dueInMs === null) return;
    // What is due and was not taken is held by another transaction. Else one more millisecond: the database compares in microseconds.
    const inMs = dueInMs < 0 ? heldAgainMs : Math.ceil(dueInMs) + 1;
    timer = ports.timers.after(inMs, () => wake("a task falls due"), { keepAlive: false });
  }

  /**
   * Neither is such an end. It is waited for from its beginning on: one that ends while a pass is under way leaves no trace by the end of that pass, which
   * may have been refused for it.
   */
  function endTimer(
    endsInMs: () => number | null,
    cause: string,
  ): { readonly set: () => void; readonly cancel: () => void } {
    let end: Timer | undefined;
    function set(): void {
      end?.cancel();
      const inMs = endsInMs();
      if (inMs === null) return;
      const over = (): void => {
        wake(cause);
        set();
      };
      end = ports.timers.after(Math.ceil(inMs) + 1, over, { keepAlive: false });
    }
    return { set, cancel: () => end?.cancel() };
  }

  const avoidance = endTimer(() => options.avoided.endsInMs(), "an agent is avoided no more");
  const keeping = endTimer(() => options.kept.endsInMs(), "an agent is kept no more");

  function keptChanged(change: "begun" | "served"): void {
    // What is left beside the task that it was kept for is everybody's.
    if (change === "served") wake("an agent is kept no more");
    keeping.set();
  }

  /** No event tells that a registry process has caught up, nor that it answers again: the watch may be of another one. */
  function setAgainTimer(isInVain: boolean): void {
    againTimer?.cancel();
    againTimer = undefined;
    if (isInVain) {
      const look = (): void => wake("the registry may answer otherwise now");
      againTimer = ports.timers.after(jitter(ports.random, againMs, 0.2), look, { keepAlive: false });
    }
    againMs = isInVain ? Math.min(longestAgainMs, againMs * 2) : firstAgainMs;
  }

  function wake(cause: string): void {
    onlyOurs = false;
    loop.wake(cause);
  }

  function heard(news: FleetNews): void {
    if (news.kind === "disconnected") return;
    if (news.kind === "connected") return wake("registry connected");
    if (news.agentIds.some(holds)) loop.wake("room appeared");
    if (news.agentIds.every(holds)) return;
    othersTimer ??= ports.timers.after(
      jitter(ports.random, leaveToOthersMs, 0.2),
      () => {
        othersTimer = undefined;
        wake("room appeared elsewhere");
      },
      { keepAlive: false },
    );
  }

  return {
    ...lifecycle({
      name: "resume loop",
      start() {
        leave = [
          options.fleet.onNews(heard),
          options.avoided.onAvoided(avoidance.set),
          options.kept.onChange(keptChanged),
        ];
        avoidance.set();
        keeping.set();
        return loop.start();
      },
      async stop(reason) {
        for (const end of leave) end();
        await loop.stop(reason);
        timer?.cancel();
        avoidance.cancel();
        keeping.cancel();
        againTimer?.cancel();
        pollTimer?.cancel();
        othersTimer?.cancel();
        othersTimer = undefined;
      },
    }),
    wake,
    lastPassAtMs: () => lastPassAtMs,
  };
}
