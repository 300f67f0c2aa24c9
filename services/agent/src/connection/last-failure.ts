import type { DuplexStream, HeadroomError } from "@headroom/rpc";
import { openError } from "./open-error.ts";
import type { Connections } from "./open-stream.ts";

/** Connections that remember why the newest stream to the registry has ended, or could not be opened, for a person who waits for it. */
export interface RememberedConnections extends Connections {
  /** null: none has ended since the registry last said something. */
  lastFailure(): HeadroomError | null;
}

export function rememberFailures(connections: Connections): RememberedConnections {
  let failure: HeadroomError | null = null;
  return {
    ...connections,
    async openHeartbeat() {
      const open = await connections.openHeartbeat().catch((error: unknown) => {
        failure = openError(error);
        throw error;
      });
      return () =>
        remembering(open(), (error) => {
          failure = error;
        });
    },
    lastFailure: () => failure,
  };
}

function remembering<In, Out>(
  stream: DuplexStream<In, Out>,
  remember: (failure: HeadroomError | null) => void,
): DuplexStream<In, Out> {
  return {
    onMessage: (handler) =>
      stream.onMessage((message) => {
        remember(null);
        return handler(message);
      }),
    onPeerEnd: (handler) => stream.onPeerEnd(handler),
    onClose: (handler) =>
      stream.onClose((error) => {
        remember(error);
        handler(error);
      }),
    send: (message) => stream.send(message),
    onDrain: (handler) => stream.onDrain(handler),
    end: () => stream.end(),
    fail: (error) => stream.fail(error),
  };
}
