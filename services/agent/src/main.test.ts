import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { makeTempDir, waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { runAgent } from "./main.ts";

/** A port on which nothing listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // It listens on a port, and not on a pipe.
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("the program", () => {
  it("says that it runs, and then that nothing answers where its registry should be", async () => {
    const dir = await makeTempDir("agent-main");
    const stop = new AbortController();
    const said: string[] = [];
    const registry = `127.0.0.1:${await deadPort()}`;
    const ended = runAgent({
      env: { ...process.env, HEADROOM_DATA_DIR: join(dir.path, "data") },
      flags: { "registry-addr": registry, "orchestrator-addr": registry },
      onReady: () => said.push("runs"),
      onConnection: (line) => said.push(line),
      until: stop.signal,
    });
    await waitFor(() => said.length === 2);
    stop.abort(new Error("the test is over"));
    expect(await ended).toBe(0);
    expect(said).toEqual([
      "runs",
      `not connected to the registry at ${registry} yet: nothing answers there; the agent keeps trying`,
    ]);
    await dir.remove();
  });
});
