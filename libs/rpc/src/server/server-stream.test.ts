import { wire } from "@headroom/contracts";
import { describe, expect, it, vi } from "vitest";
import { HeadroomError, type ServerStreamHandler } from "../index.ts";
import { startPair } from "../rpc.test-helper.ts";

type Watch = ServerStreamHandler<wire.WatchCapacityRequest, wire.WatchCapacityResponse>;

const request = wire.WatchCapacityRequest.fromPartial({});
const message = (label = ""): wire.WatchCapacityResponse =>
  wire.WatchCapacityResponse.fromPartial({ agents: [wire.AgentCapacity.fromPartial({ hostname: label })] });

async function failureOf(messages: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const _ of messages);
    return undefined;
  } catch (error) {
    return error;
  }
}

function pairWith(watchCapacity: Watch) {
  return startPair({ capacity: { watchCapacity } });
}

describe("server streams through a real socket", () => {
  it("delivers all messages in order and ends", async () => {
    const { capacity } = await pairWith(async function* () {
      for (let index = 0; index < 100; index += 1) yield message(String(index));
    });
    const seen: string[] = [];
    for await (const each of capacity.watchCapacity(request)) seen.push(each.agents[0]?.hostname ?? "");
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
  });

  it("an error after some messages arrives as it was thrown", async () => {
    const { capacity } = await pairWith(async function* () {
      yield message();
      throw new HeadroomError({ code: "ABORTED", reason: "LAGGED", message: "too slow" });
    });
    expect(await failureOf(capacity.watchCapacity(request))).toMatchObject({ code: "ABORTED", reason: "LAGGED" });
  });

  it("an unknown error, thrown at once or later, is INTERNAL and tells nothing", async () => {
    const atOnce = await pairWith(() => {
      throw new TypeError("inside");
    });
    expect(await failureOf(atOnce.capacity.watchCapacity(request))).toMatchObject({
      code: "INTERNAL",
      reason: "INTERNAL",
    });
    const later = await pairWith(async function* () {
      yield message();
      throw new TypeError("inside");
    });
    const error = await failureOf(later.capacity.watchCapacity(request));
    expect(error).toMatchObject({ code: "INTERNAL" });
    expect(String(error)).not.toContain("inside");
  });

  it("leaving the loop cancels the call, runs the handler's finally and aborts its signal, though it waits for news", async () => {
    let signal: AbortSignal | undefined;
    let left = false;
    const { capacity, server } = await pairWith(async function* (_request, context) {
      signal = context.signal;
      try {
        yield message();
        yield message();
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      } finally {
        left = true;
      }
    });
    for await (const _ of capacity.watchCapacity(request)) break;
    await vi.waitFor(() => expect(signal?.aborted).toBe(true), 10_000);
    await vi.waitFor(() => expect(left).toBe(true), 10_000);
    await server.stop();
  });

  it("a reader that is told to stop while it waits is released", async () => {
    const { capacity } = await pairWith(async function* (_request, context) {
      yield message();
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    });
    const abort = new AbortController();
    const messages = capacity.watchCapacity(request, { signal: abort.signal })[Symbol.asyncIterator]();
    await messages.next();
    const waiting = messages.next();
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: "CANCELLED", reason: "CANCELLED" });
    expect(await messages.next()).toEqual({ done: true, value: undefined });

    const second = capacity.watchCapacity(request)[Symbol.asyncIterator]();
    await second.next();
    const alsoWaiting = second.next();
    await second.return?.();
    expect(await alsoWaiting).toEqual({ done: true, value: undefined });
  });

  it("a slow reader costs no memory: the handler is asked for no more than fits into the transport", async () => {
    let made = 0;
    const label = "x".repeat(100_000);
    const { capacity } = await pairWith(async function* () {
      for (;;) {
        made += 1;
        yield message(label);
      }
    });
    const messages = capacity.watchCapacity(request)[Symbol.asyncIterator]();
    await messages.next();
    // The socket's and HTTP/2's own windows fill up, then nothing more is made.
    let before = -1;
    await vi.waitFor(
      () => {
        const stands = made === before;
        before = made;
        expect(stands).toBe(true);
      },
      { timeout: 20_000, interval: 300 },
    );
    // 16 messages in the client's stream, the windows beside it: far below what an unbounded queue would take.
    expect(made).toBeLessThan(200);
    await messages.return?.();
  });

  it("a deadline ends the stream", async () => {
    const { capacity } = await pairWith(async function* () {
      yield message();
      await new Promise(() => undefined);
    });
    expect(await failureOf(capacity.watchCapacity(request, { deadlineMs: 300 }))).toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
  });

  it("the stop of the server ends it with UNAVAILABLE", async () => {
    const { capacity, server } = await pairWith(async function* () {
      yield message();
      await new Promise(() => undefined);
    });
    const messages = capacity.watchCapacity(request)[Symbol.asyncIterator]();
    await messages.next();
    const waiting = messages.next();
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_STOPPING" }),
      server.stop(),
    ]);
  });
});
