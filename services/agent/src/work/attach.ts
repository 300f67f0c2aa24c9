import { HeadroomError } from "@headroom/rpc";
import type { Admission } from "../connection/admission.ts";
import { keepConnected, type KeptConnection } from "../connection/keep-connected.ts";
import { openError } from "../connection/open-error.ts";
import { AttachSession, type AttachSessionOptions, type AttachStream } from "./attach-session.ts";

export interface AttachOptions extends AttachSessionOptions {
  readonly admission: Pick<Admission, "whenAdmitted" | "untilRefused">;
  open(): Promise<() => AttachStream>;
}

/** The agent's work stream: one session after another. Work goes on between them. */
export interface Attach extends KeptConnection {
  isAttached(): boolean;
}

export function createAttach(options: AttachOptions): Attach {
  let session: AttachSession | null = null;
  const service = keepConnected({
    name: "work stream",
    ports: options.ports,
    logger: options.logger,
    async session(signal) {
      await options.admission.whenAdmitted(signal);
      if (signal.aborted) return { wasUp: false, error: null, reconnectWithinMs: null };
      const refused = options.admission.untilRefused();
      const open = await options.open().catch((error: unknown) => openError(error));
      if (open instanceof HeadroomError) return { wasUp: false, error: open, reconnectWithinMs: null };
      session = new AttachSession(open(), options);
      const ended = endedBy(signal, refused);
      try {
        return await session.run(ended.signal);
      } finally {
        ended.forget();
        session = null;
      }
    },
  });
  return {
    ...service,
    isAttached: () => session?.isUp ?? false,
  };
}

/** Aborted with the first of these. By hand: AbortSignal.any would leave something of every session on signals that outlive it. */
function endedBy(...signals: readonly AbortSignal[]): { readonly signal: AbortSignal; forget(): void } {
  const ended = new AbortController();
  const followed = signals.map((signal) => {
    const end = (): void => ended.abort(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    return () => signal.removeEventListener("abort", end);
  });
  return { signal: ended.signal, forget: () => followed.forEach((forget) => forget()) };
}
