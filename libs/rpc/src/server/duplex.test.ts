import { wire } from "@headroom/contracts";
import { describe, expect, it, vi } from "vitest";
import { createClient, HeadroomError, type DuplexHandler, type DuplexStream } from "../index.ts";
import { addressOf, openChannel, recordingLogger, startPair } from "../rpc.test-helper.ts";

type Heartbeat = DuplexHandler<wire.HeartbeatRequest, wire.HeartbeatResponse>;
type ClientStream = DuplexStream<wire.HeartbeatResponse, wire.HeartbeatRequest>;

const beat = (seq: number): wire.HeartbeatRequest =>
  wire.HeartbeatRequest.fromPartial({ message: { $case: "beat", value: { seq } } });
const ack = (seq: number): wire.HeartbeatResponse =>
  wire.HeartbeatResponse.fromPartial({ message: { $case: "ack", value: { seq } } });
const seqOf = (message: wire.HeartbeatRequest | wire.HeartbeatResponse): number =>
  message.message?.$case === "beat" || message.message?.$case === "ack" ? message.message.value.seq : -1;

const echo: Heartbeat = (stream) => {
  stream.onMessage((message) => void stream.send(ack(seqOf(message))));
  stream.onPeerEnd(() => stream.end());
};

interface Seen {
  readonly seqs: number[];
  readonly events: string[];
  readonly closed: Promise<HeadroomError | null>;
}

function follow(stream: ClientStream): Seen {
  const seqs: number[] = [];
  const events: string[] = [];
  const closed = new Promise<HeadroomError | null>((resolve) => {
    stream.onMessage((message) => void seqs.push(seqOf(message)));
    stream.onPeerEnd(() => void events.push("peer end"));
    stream.onClose((error) => {
      events.push("close");
      resolve(error);
    });
  });
  return { seqs, events, closed };
}

function pairWith(heartbeat: Heartbeat, options: Parameters<typeof startPair>[1] = {}) {
  return startPair({ agent: { heartbeat } }, options);
}

describe("duplex streams through a real socket", () => {
  it("carries messages both ways in order, and ends cleanly on both sides, the peer's end first", async () => {
    const serverClosed: (HeadroomError | null)[] = [];
    const { agent } = await pairWith((stream, context) => {
      echo(stream, context);
      stream.onClose((error) => void serverClosed.push(error));
    });
    const stream = agent.heartbeat();
    const seen = follow(stream);
    for (let seq = 1; seq <= 500; seq += 1) stream.send(beat(seq));
    stream.end();
    expect(await seen.closed).toBeNull();
    expect(seen.seqs).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
    expect(seen.events).toEqual(["peer end", "close"]);
    expect(stream.send(beat(1))).toBe(false);
    await vi.waitFor(() => expect(serverClosed).toEqual([null]), 10_000);
  });

  it("handles messages one after the other, also when the handler is slow, and tells the peer's end after them", async () => {
    const order: string[] = [];
    const { agent } = await pairWith((stream) => {
      stream.onMessage(async (message) => {
        order.push(`begin ${seqOf(message)}`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`end ${seqOf(message)}`);
      });
      stream.onPeerEnd(() => {
        order.push("peer end");
        stream.end();
      });
    });
    const stream = agent.heartbeat();
    const seen = follow(stream);
    for (const seq of [1, 2, 3]) stream.send(beat(seq));
    stream.end();
    expect(await seen.closed).toBeNull();
    expect(order).toEqual(["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3", "peer end"]);
  });

  it("validates every message: a bad one fails the stream and names the field", async () => {
    const { agent } = await pairWith(echo);
    const stream = agent.heartbeat();
    const seen = follow(stream);
    stream.send(beat(1));
    stream.send(beat(-4));
    expect(await seen.closed).toMatchObject({ code: "INVALID_ARGUMENT", fieldViolations: [{ field: "beat.seq" }] });
  });

  // TypeScript lets an async function stand for one that returns nothing, so it must be safe.
  const rejects = (): unknown => Promise.reject(new TypeError("inside"));
  const faults: Record<string, Heartbeat> = {
    "the handler itself throws": () => {
      throw new TypeError("inside");
    },
    "the handler itself rejects": rejects,
    "the message handler throws": (stream) =>
      stream.onMessage(() => {
        throw new TypeError("inside");
      }),
    "the message handler rejects": (stream) => stream.onMessage(() => Promise.reject(new TypeError("inside"))),
    "no message handler is set": () => undefined,
    "the peer-end handler throws": (stream) => {
      stream.onMessage(() => undefined);
      stream.onPeerEnd(() => {
        throw new TypeError("inside");
      });
    },
  };
  for (const [name, heartbeat] of Object.entries(faults)) {
    it(`${name}: INTERNAL that tells nothing, logged once, close told once`, async () => {
      const { logger, records } = recordingLogger();
      const closed: unknown[] = [];
      const { agent } = await pairWith(
        (stream, context) => {
          stream.onClose((error) => void closed.push(error?.code));
          return heartbeat(stream, context);
        },
        { logger },
      );
      const stream = agent.heartbeat();
      const seen = follow(stream);
      stream.send(beat(1));
      stream.end();
      const error = await seen.closed;
      expect(error).toMatchObject({ code: "INTERNAL", reason: "INTERNAL" });
      expect(error?.message).not.toContain("inside");
      expect(closed).toEqual(["INTERNAL"]);
      expect(records().filter((record) => record["level"] === "error")).toHaveLength(1);
    });
  }

  it("a close handler that throws is logged and harms nobody", async () => {
    const { logger, records } = recordingLogger();
    const { agent } = await pairWith(
      (stream, context) => {
        echo(stream, context);
        stream.onClose(() => {
          throw new TypeError("in close");
        });
      },
      { logger },
    );
    const stream = agent.heartbeat();
    const seen = follow(stream);
    stream.end();
    expect(await seen.closed).toBeNull();
    await vi.waitFor(() => expect(JSON.stringify(records())).toContain("in close"), 10_000);
  });

  it("an error of the server's own arrives with its reason", async () => {
    const { agent } = await pairWith((stream) =>
      stream.onMessage(() =>
        stream.fail(new HeadroomError({ code: "ABORTED", reason: "SUPERSEDED", message: "a newer stream came" })),
      ),
    );
    const stream = agent.heartbeat();
    const seen = follow(stream);
    stream.send(beat(1));
    expect(await seen.closed).toMatchObject({ code: "ABORTED", reason: "SUPERSEDED" });
  });

  it("a client that cancels, or goes away, closes the server's side with CALLER_GONE and aborts its signal", async () => {
    const closed: unknown[] = [];
    const signals: AbortSignal[] = [];
    const { agent, channel } = await pairWith((stream, context) => {
      // Without an answer to the peer's end: a cancellation may look like one at first.
      stream.onMessage((message) => void stream.send(ack(seqOf(message))));
      signals.push(context.signal);
      stream.onClose((error) => void closed.push(error?.reason));
    });
    const cancelled = agent.heartbeat();
    const gone = agent.heartbeat();
    const [first, second] = [follow(cancelled), follow(gone)];
    cancelled.send(beat(1));
    gone.send(beat(1));
    await vi.waitFor(() => expect([...first.seqs, ...second.seqs]).toEqual([1, 1]), 10_000);
    cancelled.fail(new HeadroomError({ code: "CANCELLED", reason: "MINE", message: "enough" }));
    expect(await first.closed).toMatchObject({ reason: "MINE" });
    channel.close();
    expect(await second.closed).toMatchObject({ reason: "CHANNEL_CLOSED" });
    await vi.waitFor(() => expect(closed).toEqual(["CALLER_GONE", "CALLER_GONE"]), 10_000);
    expect(signals.every((signal) => signal.aborted)).toBe(true);
  });

  it("a reader that takes nothing is cut off, instead of costing the server its memory", async () => {
    let serverStream: DuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse> | undefined;
    const closed: unknown[] = [];
    const { agent } = await pairWith((stream) => {
      serverStream = stream;
      stream.onMessage(() => undefined);
      stream.onClose((error) => void closed.push(error?.reason));
    });
    const stream = agent.heartbeat();
    stream.onMessage(() => new Promise(() => undefined));
    stream.send(beat(1));
    await vi.waitFor(() => expect(serverStream).toBeDefined(), 10_000);
    const large = wire.HeartbeatResponse.fromPartial({
      message: { $case: "welcome", value: { registryInstance: "x".repeat(1_000_000) } },
    });
    let sent = 0;
    let full = false;
    while (sent < 1_000 && closed.length === 0) {
      full = serverStream?.send(large) === false || full;
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(full).toBe(true);
    expect(closed).toEqual(["SLOW_READER"]);
    expect(sent).toBeLessThan(100);
  });

  it("send answers false when the buffer is full, and onDrain says when it is not", async () => {
    const { agent } = await pairWith(echo);
    const stream = agent.heartbeat();
    follow(stream);
    let drained = 0;
    stream.onDrain(() => {
      drained += 1;
    });
    let full = false;
    for (let seq = 1; seq <= 100 && !full; seq += 1) full = !stream.send(beat(seq));
    expect(full).toBe(true);
    await vi.waitFor(() => expect(drained).toBeGreaterThan(0), 10_000);
    stream.end();
  });

  it("without a token the stream is refused before the handler runs", async () => {
    const heartbeat = vi.fn(echo);
    const { server } = await pairWith(heartbeat);
    const anonymous = createClient(
      wire.AgentServiceService,
      openChannel(addressOf(server), { token: "wrong-token-0000000" }),
    );
    const seen = follow(anonymous.heartbeat());
    expect(await seen.closed).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_INVALID" });
    expect(heartbeat).not.toHaveBeenCalled();
  });

  it("a policy that must ask somebody loses no message", async () => {
    const { agent } = await pairWith(echo, {
      auth: {
        requiresCredential: true,
        authorize: async ({ peer }) => {
          await new Promise((resolve) => setImmediate(resolve));
          return { roles: new Set(["agent"] as const), peer };
        },
      },
    });
    const stream = agent.heartbeat();
    const seen = follow(stream);
    stream.send(beat(1));
    stream.send(beat(2));
    stream.end();
    expect(await seen.closed).toBeNull();
    expect(seen.seqs).toEqual([1, 2]);
  });

  it("a dead server closes the stream with SERVER_UNREACHABLE", async () => {
    const { server } = await pairWith(echo);
    const address = addressOf(server);
    await server.stop();
    const agent = createClient(wire.AgentServiceService, openChannel(address));
    const stream = agent.heartbeat();
    const seen = follow(stream);
    stream.send(beat(1));
    expect(await seen.closed).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_UNREACHABLE" });
  });
});
