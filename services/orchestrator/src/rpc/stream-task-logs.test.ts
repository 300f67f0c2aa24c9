import { wire } from "@headroom/contracts";
import type { CallContext } from "@headroom/rpc";
import { manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { createChangeHub } from "../events/change-hub.ts";
import type { AttemptRecord } from "../store/model.ts";
import type { HandlerDeps } from "./deps.ts";
import { streamTaskLogs } from "./stream-task-logs.ts";

const attemptId = "0469d56d-2b5a-478c-a20d-2e9b78ac6edb";

/** Somebody who follows the output of a run, of which a test decides what comes when. */
function following() {
  const ports = manualPorts();
  const run: Pick<AttemptRecord, "attemptId" | "state" | "awaitsOutput"> = {
    attemptId,
    state: "running",
    awaitsOutput: false,
  };
  const texts: string[] = [];
  const seen: string[] = [];
  const follower = { run, texts, seen, ports, hasEnded: false };
  const store = {
    getTask: () => Promise.resolve({ planId: "plan", state: "running" }),
    findAttempt: () => Promise.resolve({ ...follower.run }),
    readOutput: (_attemptId: string, afterSeq: number) =>
      Promise.resolve(
        texts
          .slice(afterSeq)
          .map((text, index) => ({ seq: afterSeq + index + 1, stream: "stdout", atMs: 0, data: Buffer.from(text) })),
      ),
    outputDroppedBytes: () => Promise.resolve(0),
  };
  const hub = createChangeHub({ notifier: { notify: () => undefined }, listener: null, timers: ports.timers });
  const handler = streamTaskLogs({ store, hub, ports } as unknown as HandlerDeps);
  const request = wire.StreamTaskLogsRequest.fromPartial({ taskId: "task", follow: true });
  const call = { signal: new AbortController().signal } as unknown as CallContext;
  void (async () => {
    for await (const piece of handler(request, call)) seen.push(piece.data.toString());
    follower.hasEnded = true;
  })();
  return follower;
}

it("whoever follows a run gets the output that comes after its result, and is let go with the last of it", async () => {
  const follower = following();
  follower.texts.push("so far");
  // It may be silent for longer than anybody waits for output that is owed.
  await follower.ports.advance(60_000);
  follower.run = { attemptId, state: "succeeded", awaitsOutput: true };
  for (const text of ["more", "and more", "the end"]) {
    await follower.ports.advance(10_000);
    expect(follower.hasEnded).toBe(false);
    follower.texts.push(text);
  }
  follower.run = { ...follower.run, awaitsOutput: false };
  await follower.ports.advance(1_000);
  expect(follower.seen).toEqual(["so far", "more", "and more", "the end"]);
  expect(follower.hasEnded).toBe(true);
});

it("output that never comes after a result keeps nobody for longer than 15 s", async () => {
  const follower = following();
  await follower.ports.advance(60_000);
  follower.run = { attemptId, state: "failed", awaitsOutput: true };
  await follower.ports.advance(14_000);
  expect(follower.hasEnded).toBe(false);
  await follower.ports.advance(3_000);
  expect(follower.hasEnded).toBe(true);
});

it("whoever follows a run of which all has come is let go with its end", async () => {
  const follower = following();
  follower.texts.push("all");
  follower.run = { attemptId, state: "succeeded", awaitsOutput: false };
  await follower.ports.advance(0);
  expect(follower.seen).toEqual(["all"]);
  expect(follower.hasEnded).toBe(true);
});
