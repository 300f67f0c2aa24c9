/** The orchestrator as production runs it, that also tells its CPU time and memory over IPC. */
import { runOrchestrator } from "@headroom/orchestrator";
import { formatHostPort } from "@headroom/runtime";
import { serveCommands } from "../support/child-side.ts";
import { statsCommands } from "../support/server-stats.ts";

const until = new AbortController();
let ended: Promise<number> = Promise.resolve(0);

serveCommands({
  ...statsCommands,
  listen: () =>
    new Promise<string>((resolve, reject) => {
      ended = runOrchestrator({
        until: until.signal,
        onReady(orchestrator) {
          if (orchestrator.grpcAddress === null) reject(new Error("gRPC does not listen"));
          else resolve(formatHostPort(orchestrator.grpcAddress));
        },
      });
      ended.catch(reject);
    }),
  /** A graceful end; a CPU profile that was asked for is written then. */
  async exit() {
    until.abort();
    await ended.catch(() => undefined);
    setTimeout(() => process.exit(0), 100);
  },
});
