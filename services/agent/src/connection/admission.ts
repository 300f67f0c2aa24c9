import { createDeferred, type Deferred, type Timer, type Timers } from "@headroom/runtime";
import { Leave } from "./leave.ts";

/**
 * Whether this program speaks for its agent, by the registry's last word. The disk of a machine that was copied has the identity of the first: its program is
 * refused as a copy while that one lives, and must not take the work stream, or tell what became of that one's work, meanwhile.
 */
export interface Admission {
  /** The registry has let it in. */
  admitted(): void;
  /** The registry could not be asked, or could not tell. When that lasts, nobody says otherwise: it may speak then. */
  unheard(): void;
  /** The registry takes it for a copy. */
  refused(): void;
  /** Resolves when it may speak, or `signal` aborts. */
  whenAdmitted(signal: AbortSignal): Promise<void>;
  /** Aborts when it may speak no more. */
  untilRefused(): AbortSignal;
}

/**
 * A registry that starts anew, or whose database stumbles, tells a copy nothing for a moment. Without a registry there is no new work, and who begins
 * has none of before, so that little is lost by waiting.
 */
const patienceMs = 10_000;

/** Begins undecided: nothing is said before the registry's first word, or a while without one. */
export function createAdmission(timers: Timers): Admission {
  let isAdmitted = false;
  let patience: Timer | null = null;
  let opened: Deferred<void> = createDeferred();
  let ended = new AbortController();
  const endPatience = (): void => {
    patience?.cancel();
    patience = null;
  };
  const admit = (): void => {
    endPatience();
    isAdmitted = true;
    opened.resolve();
  };
  return {
    admitted: admit,
    unheard() {
      if (!isAdmitted) patience ??= timers.after(patienceMs, admit, { keepAlive: false });
    },
    refused() {
      endPatience();
      if (!isAdmitted) return;
      isAdmitted = false;
      opened = createDeferred();
      ended.abort(new Leave("reconnect"));
      ended = new AbortController();
    },
    async whenAdmitted(signal) {
      if (isAdmitted || signal.aborted) return;
      const aborted = createDeferred();
      const leave = (): void => aborted.resolve();
      signal.addEventListener("abort", leave, { once: true });
      await Promise.race([opened.promise, aborted.promise]);
      signal.removeEventListener("abort", leave);
    },
    untilRefused: () => ended.signal,
  };
}
