// Loaded into a service before its own code (NODE_OPTIONS=--import): tells its memory and how late its event loop was, when asked over a
// Unix socket, so that the process measured is the real one.
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const dir = process.env["HEADROOM_FUZZ_PROBES"];
if (dir !== undefined) {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc");
  const delays = monitorEventLoopDelay({ resolution: 10 });
  delays.enable();
  const path = join(dir, `${process.pid}.sock`);
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    // Twice: what the first frees may hold on to more.
    gc();
    gc();
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    const told = { rss, heapUsed, external, arrayBuffers, worstDelayMs: delays.max / 1e6 };
    delays.reset();
    socket.end(JSON.stringify(told));
  });
  server.listen(path);
  server.unref();
}
