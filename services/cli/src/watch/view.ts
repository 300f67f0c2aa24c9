import type { wire } from "@headroom/contracts";
import type { PlanProgress } from "./progress.ts";

/** How the progress of a plan is shown. */
export interface WatchView {
  /** After an event. */
  show(progress: PlanProgress, message: wire.WatchPlanResponse): void;
  /** After a reason has changed without an event; null for a view that tells events and nothing else. */
  readonly refresh: ((progress: PlanProgress) => void) | null;
  /** Something that is no event, such as a lost connection. */
  note(line: string): void;
  /** The last state stays on the screen. */
  end(): void;
}
