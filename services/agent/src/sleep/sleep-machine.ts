/** Whether the machine is awake, as far as the agent knows. Times are on the clock that counts suspend. */
export type SleepState =
  | { readonly phase: "awake" }
  /** Announced; it may sleep at any moment, or be back already. */
  | { readonly phase: "going"; readonly awakeMs: number };

export type SleepEvent =
  /** The system says that it is about to sleep. */
  | { readonly kind: "announced" }
  /** The system says that it is back, or that it did not sleep after all. */
  | { readonly kind: "back" }
  /** Once a second. `suspendedMs`: how long the machine was suspended since the tick before; `awakeMs`: how long it was not. */
  | { readonly kind: "tick"; readonly suspendedMs: number; readonly awakeMs: number };

export type SleepEffect =
  | { readonly kind: "go_to_sleep" }
  /** `suspendedMs`: 0 when the clocks do not tell (yet). */
  | { readonly kind: "wake_up"; readonly suspendedMs: number; readonly wasAnnounced: boolean };

export interface SleepStep {
  readonly state: SleepState;
  readonly effect: SleepEffect | null;
}

export const awake: SleepState = { phase: "awake" };

/** A sleep that was announced and has not come for so long does not come: the agent must not stay away for ever. */
const longestGoingMs = 60_000;

/** What happens next. Pure. Whatever is lost or comes twice, the agent ends up awake. */
export function stepSleep(state: SleepState, event: SleepEvent): SleepStep {
  switch (state.phase) {
    case "awake":
      return stepAwake(state, event);
    case "going":
      return stepGoing(state, event);
  }
}

function stepAwake(state: SleepState, event: SleepEvent): SleepStep {
  switch (event.kind) {
    case "announced":
      return { state: { phase: "going", awakeMs: 0 }, effect: { kind: "go_to_sleep" } };
    case "back":
      return { state, effect: null };
    case "tick":
      return event.suspendedMs > 0 ? wake(event.suspendedMs, false) : { state, effect: null };
  }
}

function stepGoing(state: Extract<SleepState, { phase: "going" }>, event: SleepEvent): SleepStep {
  switch (event.kind) {
    case "announced":
      return { state, effect: null };
    case "back":
      return wake(0, true);
    case "tick": {
      // The clocks may tell of it before the system does; its word comes to one who is awake then, and changes nothing.
      if (event.suspendedMs > 0) return wake(event.suspendedMs, true);
      const awakeMs = state.awakeMs + event.awakeMs;
      return awakeMs >= longestGoingMs ? wake(0, true) : { state: { phase: "going", awakeMs }, effect: null };
    }
  }
}

function wake(suspendedMs: number, wasAnnounced: boolean): SleepStep {
  return { state: awake, effect: { kind: "wake_up", suspendedMs, wasAnnounced } };
}
