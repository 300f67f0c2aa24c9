import { wire } from "@headroom/contracts";
import type { CallContext } from "@headroom/rpc";
import { captureLogger } from "@headroom/testing";
import { expect, it } from "vitest";
import type { HoldRecord } from "../store/model.ts";
import type { HandlerDeps } from "./deps.ts";
import { holdQueue } from "./hold-queue.ts";

const hold: HoldRecord = { reason: "power work", heldBy: "ana", heldAtMs: 0 };

it("a hold is known here and answered as soon as it is committed, whatever becomes of the claims", async () => {
  let fail: (error: Error) => void = () => undefined;
  const known: (HoldRecord | null)[] = [];
  const deps = {
    store: {
      holdQueue: () => Promise.resolve(hold),
      takeClaimsAway: () => {
        expect(known).toEqual([hold]);
        return new Promise<void>((_, reject) => {
          fail = reject;
        });
      },
    },
    queueHold: { changed: (next: HoldRecord | null) => known.push(next) },
    loop: { wake: () => undefined },
  } as unknown as HandlerDeps;
  const logger = captureLogger();
  const call = {
    signal: new AbortController().signal,
    logger,
    requestId: "",
    traceparent: "",
  } as unknown as CallContext;
  const answer = await holdQueue(deps)(
    wire.HoldQueueRequest.fromPartial({ reason: "power work", heldBy: "ana" }),
    call,
  );
  expect(answer.hold).toMatchObject({ reason: "power work", heldBy: "ana" });
  fail(new Error("the database is away"));
  await Promise.resolve();
  expect(logger.has("claims are left to end by themselves", "warn")).toBe(true);
});
