/** AgentService.Heartbeat: each stream is a session. */
import type { wire } from "@headroom/contracts";
import type { DuplexHandler } from "@headroom/rpc";
import { HeartbeatSession, type SessionServices } from "./session.ts";

export function heartbeatHandler(
  services: SessionServices,
): DuplexHandler<wire.HeartbeatRequest, wire.HeartbeatResponse> {
  return (stream, context) => {
    // It registers itself with its stream and with the sessions, which keep it.
    void new HeartbeatSession(services, stream, context);
  };
}
