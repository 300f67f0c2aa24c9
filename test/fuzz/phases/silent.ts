/** Connections by the thousand that say nothing, or only hello to HTTP/2, while real clients want to be served. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { createHeadroomClient, wire } from "@headroom/client";
import { checkoutDir } from "../../e2e/support/built-command.ts";
import { restCall } from "../../integration/bad-input-rest.ts";
import { preface, settings } from "../calls/h2-frames.ts";
import type { PhaseRun } from "../support/tally.ts";

/** Longer than any of our bounds on connections that do nothing. */
const endedWithinMs = 60_000;

export async function silent(run: PhaseRun): Promise<void> {
  const { world, effort } = run;
  const count = Math.ceil(10_000 * Math.min(1, effort));
  const hello = Buffer.concat([preface, settings]).toString("hex");
  const { registry, orchestrator } = world.cluster;
  for (const [name, address, says] of [
    ["registry gRPC", registry.grpcAddress, ""],
    ["orchestrator gRPC", orchestrator.grpcAddress, ""],
    ["registry gRPC, after a preface", registry.grpcAddress, hello],
    ["registry REST", registry.httpAddress, ""],
    ["orchestrator REST", orchestrator.httpAddress, Buffer.from("GET /healthz HT").toString("hex")],
  ] as const) {
    await crowd(run, name, address, says, count);
  }
}

async function crowd(
  { tally, world }: PhaseRun,
  name: string,
  address: string,
  says: string,
  count: number,
): Promise<void> {
  const program = startSilent(address, count, says);
  const served = serveMeanwhile(world.cluster);
  const begun = await program.said();
  tally.case("silent connections", begun.opened);
  tally.connections += begun.opened;
  const sinceMs = performance.now();
  let left = begun;
  while (left.open > 0 && performance.now() - sinceMs < endedWithinMs) {
    await pause(1_000);
    left = await program.ask();
  }
  const tookMs = Math.round(performance.now() - sinceMs);
  const { calls, failed, slowestMs } = await served.stop();
  await program.end();
  console.error(
    `silent: ${name}: ${begun.opened} opened (${begun.refused} refused at once), ${begun.open} held, ${left.open} left after ${tookMs} ms; ` +
      `meanwhile ${calls} calls of new clients, the slowest ${slowestMs} ms`,
  );
  if (left.open > 0)
    tally.find(
      "silent",
      `${name}: ${left.open} of ${begun.opened} connections that say nothing were still there after ${tookMs} ms`,
    );
  for (const failure of failed.slice(0, 3)) tally.find("silent", `${name}: a real client was not served: ${failure}`);
  if (calls === 0) tally.find("silent", `${name}: no real client was served meanwhile`);
}

interface Said {
  readonly opened: number;
  readonly open: number;
  readonly refused: number;
}

function startSilent(address: string, count: number, says: string) {
  const [host, port] = address.split(":");
  const file = join(checkoutDir, "test/fuzz/programs/silent.mjs");
  const child: ChildProcess = spawn(process.execPath, [file, host!, port!, String(count), says], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: Interface = createInterface({ input: child.stdout! });
  const answers = lines[Symbol.asyncIterator]();
  const said = async (): Promise<Said> => {
    const { value, done } = await answers.next();
    if (done === true) throw new Error("the silent client has ended");
    return JSON.parse(value) as Said;
  };
  return {
    said,
    ask(): Promise<Said> {
      child.stdin!.write("?\n");
      return said();
    },
    async end(): Promise<void> {
      const ended = once(child, "exit");
      child.stdin!.end();
      await ended;
    },
  };
}

/** New clients, one after the other, each with connections of its own: those that are connected already are no proof. */
function serveMeanwhile({ registry, orchestrator, tokenFile }: PhaseRun["world"]["cluster"]) {
  const stopped = new AbortController();
  let [calls, slowestMs] = [0, 0];
  const failed: string[] = [];
  const once = async (): Promise<void> => {
    const client = createHeadroomClient(
      { registry: registry.grpcAddress, orchestrator: orchestrator.grpcAddress, tokenFile, userAgent: "headroom-fuzz" },
      { env: {} },
    );
    const begunMs = performance.now();
    try {
      const results = [
        await client.fleet.list({}, { timeoutMs: 10_000 }),
        await client.queue.status({ timeoutMs: 10_000 }),
      ];
      for (const result of results)
        if (result.kind === "error") failed.push(`${result.error.code}: ${result.error.message}`);
      const service = await client.channels.client("registry", wire.CapacityServiceService);
      await service.listAvailableCapacity(wire.ListAvailableCapacityRequest.create(), { deadlineMs: 10_000 });
      for (const { httpAddress } of [registry, orchestrator]) {
        const page = await restCall({
          address: httpAddress,
          verb: "GET",
          path: "/healthz",
          headers: { connection: "close" },
        });
        if (page.status !== 200) failed.push(`/healthz answered ${page.status}`);
      }
      calls += 5;
    } catch (error) {
      failed.push(String(error));
    } finally {
      client.close();
    }
    slowestMs = Math.max(slowestMs, Math.round(performance.now() - begunMs));
  };
  const going = (async () => {
    while (!stopped.signal.aborted) {
      await once();
      await pause(100);
    }
  })();
  return {
    async stop() {
      stopped.abort();
      await going;
      return { calls, failed, slowestMs };
    },
  };
}
