import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { wire } from "@headroom/contracts";
import { createDeferred, silentLogger } from "@headroom/runtime";
import { describe, expect, it, vi } from "vitest";
import { unavailable } from "../errors.ts";
import { startHttp, type TestHandlers } from "./http.test-helper.ts";

const watch = "/api/v1/capacity:watch";
const change = (counter: number): wire.WatchCapacityResponse =>
  wire.WatchCapacityResponse.fromPartial({ revision: { registryInstance: "r", counter }, snapshot: counter === 1 });

type Watch = NonNullable<NonNullable<TestHandlers["capacity"]>["watchCapacity"]>;
const watching = (watchCapacity: Watch): TestHandlers => ({ capacity: { watchCapacity } });

async function linesOf(response: IncomingMessage): Promise<Record<string, unknown>[]> {
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("server streams through a real socket", () => {
  it("come as one JSON object a line", async () => {
    const { open } = await startHttp(
      watching(async function* (request) {
        expect(request.coalesce).toEqual({ seconds: 0, nanos: 50_000_000 });
        yield* [change(1), change(2)];
      }),
    );
    const response = await open(`${watch}?coalesce=0.05s`);
    expect(response.headers["content-type"]).toBe("application/x-ndjson; charset=utf-8");
    expect(await linesOf(response)).toMatchObject([
      { revision: { registry_instance: "r", counter: 1 }, snapshot: true, agents: [] },
      { revision: { counter: 2 }, snapshot: false },
    ]);
  });

  it("a line comes as soon as it is there, and the header before the first", async () => {
    const second = createDeferred<undefined>();
    const { open } = await startHttp(
      watching(async function* () {
        await second.promise;
        yield change(1);
      }),
    );
    const response = await open(watch);
    expect(response.statusCode).toBe(200);
    second.resolve(undefined);
    expect(await linesOf(response)).toHaveLength(1);
  });

  it("an error before the first message has its own status", async () => {
    const { ask } = await startHttp(
      watching(async function* () {
        yield await Promise.reject(unavailable("NOT_WARM", "wait", 500));
      }),
    );
    const answer = await ask(watch);
    expect(answer.status).toBe(503);
    expect(answer.error()).toMatchObject({ reason: "NOT_WARM" });
    expect((await ask(`${watch}?coalesce=1h`)).status).toBe(400);
  });

  it("a later error becomes the last line", async () => {
    const { open } = await startHttp(
      watching(async function* () {
        yield change(1);
        throw new Error("secret");
      }),
    );
    const lines = await linesOf(await open(watch));
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({ error: { code: 500, reason: "INTERNAL" } });
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  it("a reader that leaves ends the handler", async () => {
    const left = createDeferred<undefined>();
    const { open } = await startHttp(
      watching(async function* (_request, context) {
        try {
          yield change(1);
          await once(context.signal, "abort");
        } finally {
          left.resolve(undefined);
        }
      }),
    );
    const response = await open(watch);
    await once(response, "data");
    response.destroy();
    await left.promise;
  });

  it("a slow reader holds the handler back", async () => {
    let made = 0;
    const gone = createDeferred<undefined>();
    const { open } = await startHttp(
      watching(async function* () {
        try {
          for (;;) {
            made += 1;
            yield wire.WatchCapacityResponse.fromPartial({ removedAgentIds: ["x".repeat(100_000)] });
          }
        } finally {
          gone.resolve(undefined);
        }
      }),
    );
    const response = await open(watch);
    response.pause();
    // It stands still once the buffers of both sides are full: some megabytes.
    let before = -1;
    await vi.waitFor(
      () => {
        const now = made;
        const stands = now === before;
        before = now;
        expect(stands).toBe(true);
      },
      { timeout: 20_000, interval: 200 },
    );
    expect(made).toBeLessThan(500);
    response.destroy();
    await gone.promise;
  });

  it("a stop ends a stream with a line that says so", async () => {
    const { open, server } = await startHttp(
      watching(async function* (_request, context) {
        yield change(1);
        await once(context.signal, "abort");
      }),
      { logger: silentLogger },
    );
    const response = await open(watch);
    await once(response, "readable");
    const lines = linesOf(response);
    await server.stop();
    expect((await lines).at(-1)).toMatchObject({ error: { code: 503, reason: "SERVER_STOPPING" } });
  });

  it("HEAD does not start the stream", async () => {
    const started = vi.fn();
    const { ask } = await startHttp(
      watching(async function* () {
        started();
        yield change(1);
      }),
    );
    expect(await ask(watch, { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect(started).not.toHaveBeenCalled();
  });
});
