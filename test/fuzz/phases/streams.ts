/** Streams that are opened and left, fed without being read, begun twice or in the middle. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";
import { framed, H2Client } from "../calls/h2-client.ts";
import { codeOf, wrongAnswer } from "../calls/judge.ts";
import { corpus } from "../messages/corpus.ts";
import type { PhaseRun } from "../support/tally.ts";

export async function streams(run: PhaseRun): Promise<void> {
  const { world, effort } = run;
  const right = corpus(world.victim);
  const { registry, orchestrator } = world.cluster;
  const duplex = [
    [
      registry.grpcAddress,
      "/headroom.registry.v1.AgentService/Heartbeat",
      right.get("headroom.registry.v1.HeartbeatRequest")!,
    ],
    [
      orchestrator.grpcAddress,
      "/headroom.orchestrator.v1.WorkService/Attach",
      right.get("headroom.orchestrator.v1.AttachRequest")!,
    ],
  ] as const;
  for (const [address, path, [hello, ...others]] of duplex) {
    await outOfOrder(run, address, path, hello!, others);
    await neverRead(run, address, path, hello!, others, Math.ceil(2_000 * effort));
    await halfOpen(run, address, path, hello!, Math.ceil(300 * effort));
  }
  await watchersThatDoNotRead(run, registry.grpcAddress, Math.ceil(200 * effort));
}

/** Every message first, hello twice, all at once after hello, and each after our side has ended. */
async function outOfOrder(
  { tally, world }: PhaseRun,
  address: string,
  path: string,
  hello: Buffer,
  others: readonly Buffer[],
): Promise<void> {
  const orders = [
    ...others.map((first) => [first]),
    [hello, hello],
    [hello, ...others, hello],
    [hello, ...others.toReversed(), ...others],
    [...others, hello],
    [Buffer.alloc(0), hello],
    Array.from({ length: 2_000 }, () => hello),
    [hello, ...Array.from({ length: 5_000 }, () => others[0]!)],
  ];
  const client = new H2Client(address);
  for (const order of orders) {
    for (const ends of [true, false]) {
      tally.case("streams");
      const body = Buffer.concat(order.map((message) => framed(message)));
      const answer = await client.call({
        path,
        body,
        ends,
        headers: { authorization: `Bearer ${world.token}` },
        listenMs: 1_500,
      });
      tally.answer(codeOf(answer));
      const wrong = wrongAnswer(answer);
      if (wrong !== null)
        tally.find(
          "streams",
          `${path}: ${wrong}`,
          `${order.length} messages, first ${order[0]!.toString("hex").slice(0, 80)}`,
        );
    }
  }
  tally.connections += client.connections;
  client.close();
}

/** Thousands of messages, and none of the answers read: the window of the stream stays shut. */
async function neverRead(
  { tally, world }: PhaseRun,
  address: string,
  path: string,
  hello: Buffer,
  others: readonly Buffer[],
  messages: number,
): Promise<void> {
  await withSession(address, async (session) => {
    const opened = Array.from({ length: 10 }, () => open(session, path, world.token));
    for (const stream of opened) {
      stream.pause();
      stream.write(framed(hello));
      for (let n = 0; n < messages && !stream.destroyed; n += 1) stream.write(framed(others[n % others.length]!));
      tally.case("streams never read");
    }
    await pause(3_000);
    for (const stream of opened) stream.close(constants.NGHTTP2_CANCEL);
  });
  tally.connections += 1;
}

/** Streams that say hello and nothing more, of which half are reset and the rest torn away with their connection. */
async function halfOpen(
  { tally, world }: PhaseRun,
  address: string,
  path: string,
  hello: Buffer,
  count: number,
): Promise<void> {
  await withSession(address, async (session) => {
    for (let n = 0; n < count; n += 1) {
      const stream = open(session, path, world.token);
      if (n % 3 > 0) stream.write(framed(hello).subarray(0, n % 3 === 1 ? hello.length : 5 + hello.length));
      if (n % 2 === 0) stream.close(constants.NGHTTP2_CANCEL);
      tally.case("streams half open");
    }
    await pause(500);
  });
  tally.connections += 1;
}

async function watchersThatDoNotRead({ tally, world }: PhaseRun, address: string, count: number): Promise<void> {
  await withSession(address, async (session) => {
    for (let n = 0; n < count; n += 1) {
      const stream = open(session, "/headroom.registry.v1.CapacityService/WatchCapacity", world.token);
      stream.pause();
      stream.end(framed(Buffer.alloc(0)));
      tally.case("streams never read");
    }
    await pause(3_000);
  });
  tally.connections += 1;
}

function open(session: ClientHttp2Session, path: string, token: string): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${token}`,
  });
  stream.on("error", () => undefined);
  return stream;
}

async function withSession(address: string, use: (session: ClientHttp2Session) => Promise<void>): Promise<void> {
  const session = connect(`http://${address}`);
  session.on("error", () => undefined);
  try {
    await use(session);
  } finally {
    session.destroy();
  }
}
