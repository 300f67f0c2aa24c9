import { createDeferred, type Deferred } from "@headroom/runtime";
import { Leave } from "./leave.ts";

/**
 * Whether this program speaks for its agent, by the registry's last word. The disk of a machine that was copied has the identity of the first: its program is
 * refused as a copy while that one lives, and must not take the work stream, or tell what became of that one's work, meanwhile.
 */
export interface Admission {
  /** The registry has let it in, or cannot be asked: then nobody says otherwise. */
  admitted(): void;
  /** The registry takes it for a copy. */
  refused(): void;
  /** Resolves when it may speak, or `signal` aborts. */
  whenAdmitted(signal: AbortSignal): Promise<void>;
  /** Aborts when it may speak no more. */
  untilRefused(): AbortSignal;
}

/** Begins undecided: nothing is said before the registry's first word, or the first failure to get one. */
export function createAdmission(): Admission {
  let isAdmitted = false;
  let opened: Deferred<void> = createDeferred();
  let ended = new AbortController();
  return {
    admitted() {
      isAdmitted = true;
      opened.resolve();
    },
    refused() {
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
