/** Requests that are announced as large and never come to their end, from callers who show nothing: what is kept of them is memory. */
import { connect } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";
import { deflateSync, gzipSync } from "node:zlib";
import { framed, H2Client } from "../calls/h2-client.ts";
import { codeOf, wrongAnswer } from "../calls/judge.ts";
import type { PhaseRun } from "../support/tally.ts";

const mib = 1_048_576;

export async function bodies(run: PhaseRun): Promise<void> {
  const { registry, orchestrator } = run.world.cluster;
  for (const [address, path] of [
    [registry.grpcAddress, "/headroom.registry.v1.CapacityService/ReserveCapacity"],
    [registry.grpcAddress, "/headroom.registry.v1.CapacityService/ListAvailableCapacity"],
    [registry.grpcAddress, "/grpc.health.v1.Health/Check"],
    [orchestrator.grpcAddress, "/headroom.orchestrator.v1.PlanService/DispatchPlan"],
  ] as const) {
    await unfinished(run, address, path);
    await unpacked(run, address, path);
  }
}

/** 200 calls of 15 MiB, of which the last byte never comes. */
async function unfinished({ tally, effort }: PhaseRun, address: string, path: string): Promise<void> {
  const session = connect(`http://${address}`);
  session.on("error", () => undefined);
  const announced = framed(Buffer.alloc(0), { claims: 15 * mib });
  const piece = Buffer.alloc(mib, 1);
  const calls = Array.from({ length: Math.ceil(200 * Math.min(1, effort)) }, () => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => undefined).resume();
    stream.write(announced);
    return stream;
  });
  tally.case("unfinished requests", calls.length);
  tally.connections += 1;
  const untilMs = performance.now() + 12_000;
  for (let sent = 0; sent < 14; sent += 1) {
    for (const stream of calls) if (stream.writable && !stream.destroyed) stream.write(piece);
    // As much as the server takes: what waits here is our own memory.
    while (
      calls.some(({ writableLength, destroyed }) => !destroyed && writableLength > mib) &&
      performance.now() < untilMs
    )
      await pause(50);
    if (performance.now() > untilMs || session.destroyed) break;
  }
  session.destroy();
}

/** Small messages that unpack into more than may be sent. */
async function unpacked({ tally, world }: PhaseRun, address: string, path: string): Promise<void> {
  const client = new H2Client(address);
  const zeros = Buffer.alloc(15 * mib);
  for (const [encoding, bomb] of [
    ["gzip", gzipSync(Buffer.alloc(64 * mib))],
    ["gzip", gzipSync(zeros)],
    ["deflate", deflateSync(zeros)],
  ] as const) {
    const calls = Array.from({ length: 8 }, () =>
      client.call({
        path,
        body: framed(bomb, { compressed: 1 }),
        headers: { "grpc-encoding": encoding, authorization: `Bearer ${world.token}` },
        listenMs: 20_000,
      }),
    );
    for (const answer of await Promise.all(calls)) {
      tally.case("compressed bombs");
      tally.answer(codeOf(answer));
      const wrong = wrongAnswer(answer);
      if (wrong !== null) tally.find("bodies", `${path}: ${wrong}`, `64 or 15 MiB of zeros, ${encoding}`);
    }
  }
  tally.connections += client.connections;
  client.close();
}
