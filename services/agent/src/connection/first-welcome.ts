import type { HeadroomError } from "@headroom/rpc";
import { sleep, type Ports } from "@headroom/runtime";

export interface FirstWelcomeOptions {
  readonly ports: Ports;
  /** HOST:PORT of the registry. */
  readonly registry: string;
  readonly isOnline: () => boolean;
  /** Why the newest try has failed. */
  readonly lastFailure: () => HeadroomError | null;
  /** One line for a person. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const lookEveryMs = 250;

/**
 * An agent runs without its registry, so that it runs says nothing of whether it is of use: tells whoever started it that it is not connected
 * and why, again when the reason is another one, and when it is connected. Says nothing where it is from the beginning. Never rejects.
 */
export async function tellFirstWelcome(options: FirstWelcomeOptions): Promise<void> {
  const { ports, registry, isOnline, lastFailure, say, signal } = options;
  if (isOnline()) return;
  let told: string | null = null;
  while (!signal.aborted && !isOnline()) {
    const why = whyNot(lastFailure());
    if (why !== told) say(`not connected to the registry at ${registry} yet: ${why}`);
    told = why;
    await sleep(ports.timers, lookEveryMs, signal).catch(() => undefined);
  }
  if (!signal.aborted) say(`connected to the registry at ${registry}`);
}

function whyNot(failure: HeadroomError | null): string {
  if (failure === null) return "it has not answered";
  return failure.reason === "SERVER_UNREACHABLE" && failure.message.startsWith("nothing answers")
    ? "nothing answers there; the agent keeps trying"
    : // The way out stands in the log's own line.
      (failure.message.split("; ", 1)[0] ?? failure.message);
}
