import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import type { HandlerDeps } from "./deps.ts";

/** One pass over the queue now, as the loop makes it (R-PAUSE-6). */
export function resumePausedWork({
  resumer,
}: HandlerDeps): UnaryHandler<wire.ResumePausedWorkRequest, wire.ResumePausedWorkResponse> {
  return async (request, context) => {
    const { resumed, waiting } = await resumer.pass({
      planId: request.planId === "" ? null : request.planId.toLowerCase(),
      cause: "asked to",
      thorough: true,
      signal: context.signal,
    });
    return wire.ResumePausedWorkResponse.fromPartial({ resumedTasks: resumed, waitingTasks: waiting });
  };
}
