import type { Result, wire } from "@headroom/client";
import type { Ports, Timer } from "@headroom/runtime";
import { type PlanProgress, withReasons } from "./progress.ts";

export interface ReasonsOptions {
  readonly ports: Ports;
  /** One page of the plan's paused tasks. */
  readonly read: (pageToken: string) => Promise<Result<wire.ListTasksResponse>>;
  /** What is known now. */
  readonly progress: () => PlanProgress;
  /** Some reason has become another one. */
  readonly onNews: (progress: PlanProgress) => void;
}

/** Soon enough for a person who looks, and little for a service that a hundred people look at. */
const rereadEveryMs = 5_000;

/**
 * Reads now and then why tasks wait: a task that stays paused for another reason is no event. One page is read each time, so that a plan
 * of many tasks costs no more than one of few; a failed read is tried again, for the watch itself tells of a lost connection.
 * Answers how to end it.
 */
export function keepReasons({ ports, read, progress, onNews }: ReasonsOptions): () => void {
  let timer: Timer;
  let pageToken = "";
  let ended = false;

  async function reread(): Promise<void> {
    const before = progress();
    if (![...before.tasks.values()].some(({ state }) => state === "paused")) return;
    const answer = await read(pageToken);
    pageToken = answer.kind === "ok" ? answer.value.nextPageToken : "";
    if (ended || answer.kind === "error") return;
    const now = progress();
    const next = withReasons(now, before, answer.value.tasks);
    if (next !== now) onNews(next);
  }

  function wait(): void {
    // The next wait begins when the read has ended: one call at a time, however slow.
    const next = (): void => {
      if (!ended) wait();
    };
    timer = ports.timers.after(rereadEveryMs, () => void reread().then(next, next), { keepAlive: false });
  }

  wait();
  return () => {
    ended = true;
    timer.cancel();
  };
}
