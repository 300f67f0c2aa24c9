import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";

/** Keeps grpc-js from writing to stderr by itself: what it says there reaches us as errors, and we log those. GRPC_VERBOSITY wins. */
export function quietGrpc(): void {
  if (process.env["GRPC_VERBOSITY"] === undefined && process.env["GRPC_NODE_VERBOSITY"] === undefined)
    setLogVerbosity(logVerbosity.NONE);
}
