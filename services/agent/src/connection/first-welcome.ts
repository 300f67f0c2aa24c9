import { type HeadroomError, isTlsFailure } from "@headroom/rpc";
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
    const { key, text } = whyNot(lastFailure(), registry);
    if (key !== told) say(`not connected to the registry at ${registry} yet: ${text}`);
    told = key;
    await sleep(ports.timers, lookEveryMs, signal).catch(() => undefined);
  }
  if (!signal.aborted) say(`connected to the registry at ${registry}`);
}

interface WhyNot {
  /** Another one is another reason. */
  readonly key: string;
  readonly text: string;
}

function whyNot(failure: HeadroomError | null, registry: string): WhyNot {
  if (failure === null) return { key: "", text: "it has not answered" };
  const { reason, message } = failure;
  const [what = message] = message.split("; ", 1);
  const isUnreachable = reason === "SERVER_UNREACHABLE";
  if (isUnreachable && what.startsWith("nothing answers"))
    // Of a name with several addresses each try may tell of another one.
    return { key: reason, text: `${what.replace(` at ${registry}`, " there")}; the agent keeps trying` };
  // The way out stands in the log's own line; that of TLS is for whoever has started the agent.
  return { key: message, text: isUnreachable || isTlsFailure(failure) ? message : what };
}
