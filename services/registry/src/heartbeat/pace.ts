/** How often agents are to beat: every 5 s (or as configured), less often the more of them this process holds. */
import { heartbeatIntervalMs, reconnectWithinMs } from "@headroom/scheduling";
import type { Sessions } from "./sessions.ts";

/** Beats that a process wants in one second at most: 10,000 agents every 5 s. To decode and ack so many takes 2 to 6 % of a CPU. */
const TARGET_BEATS_PER_SECOND = 2_000;
/** Hellos that one process and its database take in one second without trouble. */
const ADMISSIONS_PER_SECOND = 1_000;

export class Pace {
  readonly #sessions: Pick<Sessions, "size">;
  readonly #shortestMs: number;

  constructor(sessions: Pick<Sessions, "size">, shortestMs: number) {
    this.#sessions = sessions;
    this.#shortestMs = shortestMs;
  }

  /** From one beat of an agent to its next. */
  get intervalMs(): number {
    return this.intervalMsOf(this.#sessions.size);
  }

  /** The same at a process that holds so many agents. */
  intervalMsOf(agentsHeld: number): number {
    return heartbeatIntervalMs(agentsHeld, TARGET_BEATS_PER_SECOND, this.#shortestMs);
  }

  /** Over which time all agents of this process are to spread their return when they are sent away. */
  get reconnectWithinMs(): number {
    return reconnectWithinMs(this.#sessions.size, ADMISSIONS_PER_SECOND, this.intervalMs);
  }
}
