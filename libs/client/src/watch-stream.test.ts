import { wire } from "@headroom/contracts";
import { HeadroomError, notFound } from "@headroom/rpc";
import { describe, expect, it } from "vitest";
import { away } from "./fake-services.test-helper.ts";
import { clientOf, collect, planId } from "./client.test-helper.ts";

const finishedPlan = wire.Plan.create({ planId, status: wire.PlanStatus.PLAN_STATUS_SUCCEEDED });
const event = (
  eventId: number,
  status: wire.PlanStatus = wire.PlanStatus.PLAN_STATUS_DISPATCHED,
): wire.WatchPlanResponse => ({
  event: wire.PlanEvent.create({ eventId, planId }),
  plan: wire.Plan.create({ planId, status }),
});

describe("watch", () => {
  it("goes on behind the last event after an interruption, each event once", async () => {
    const askedAfter: number[] = [];
    const client = await clientOf({
      plans: {
        async *watchPlan({ afterEventId }) {
          askedAfter.push(afterEventId);
          if (askedAfter.length === 1) {
            yield event(1);
            yield event(2);
            throw away();
          }
          // An event too many is left out by the client.
          yield event(2);
          yield event(3, wire.PlanStatus.PLAN_STATUS_SUCCEEDED);
        },
      },
    });
    const items = await collect(client.plans.watch(planId));
    expect(askedAfter).toEqual([0, 2]);
    expect(items.map((item) => (item.kind === "item" ? item.value.event?.eventId : item.kind))).toEqual([
      1,
      2,
      "interrupted",
      3,
    ]);
  });

  it("ends when the plan has ended before the point asked for", async () => {
    const client = await clientOf({
      plans: {
        async *watchPlan() {},
        getPlan: () => Promise.resolve({ plan: finishedPlan }),
      },
    });
    expect(await collect(client.plans.watch(planId, { afterEventId: 9 }))).toEqual([]);
  });

  it.each([
    ["a refusal that says when to come back", "RESOURCE_EXHAUSTED", 20],
    ["a cancellation that nobody here asked for", "CANCELLED", undefined],
  ] as const)("goes on after %s", async (_, code, retryAfterMs) => {
    let calls = 0;
    const client = await clientOf({
      plans: {
        async *watchPlan() {
          calls += 1;
          if (calls === 1) {
            throw new HeadroomError({
              code,
              reason: "BUSY",
              message: "not now",
              ...(retryAfterMs !== undefined && { retryAfterMs }),
            });
          }
          yield event(1, wire.PlanStatus.PLAN_STATUS_SUCCEEDED);
        },
      },
    });
    const kinds = (await collect(client.plans.watch(planId))).map(({ kind }) => kind);
    expect(kinds).toEqual(["interrupted", "item"]);
  });

  it("ends when its client is closed", async () => {
    const client = await clientOf({
      plans: {
        async *watchPlan(_request, { signal }) {
          yield event(1);
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        },
      },
    });
    const seen: string[] = [];
    for await (const item of client.plans.watch(planId)) {
      seen.push(item.kind);
      client.close();
    }
    expect(seen).toEqual(["item", "failed"]);
  });

  it("fails at once where trying again cannot help", async () => {
    const client = await clientOf({
      plans: {
        // eslint-disable-next-line require-yield
        async *watchPlan() {
          throw notFound("PLAN_NOT_FOUND", "no such plan");
        },
      },
    });
    expect(await collect(client.plans.watch(planId))).toMatchObject([{ kind: "failed", error: { kind: "not_found" } }]);
  });

  it.each([
    ["output fails where nothing answers at the first try", "SERVER_UNREACHABLE", true, ["failed"]],
    ["output that is not followed fails with the first try, whatever the service says", "AWAY", false, ["failed"]],
    ["output that is followed waits for a service that answers", "AWAY", true, ["interrupted", "item"]],
  ] as const)("%s", async (_, reason, follow, expected) => {
    let calls = 0;
    const client = await clientOf({
      plans: {
        async *streamTaskLogs() {
          calls += 1;
          if (calls === 1)
            throw new HeadroomError({ code: "RESOURCE_EXHAUSTED", reason, message: "", retryAfterMs: 20 });
          yield wire.StreamTaskLogsResponse.create({ attemptId: planId, seq: 1, data: Buffer.from("x") });
        },
      },
    });
    expect((await collect(client.tasks.logs(planId, { follow }))).map(({ kind }) => kind)).toEqual(expected);
  });

  it("fails at once where TLS is refused, which no patience mends", async () => {
    const client = await clientOf({
      plans: {
        // eslint-disable-next-line require-yield
        async *watchPlan() {
          const reason = "SERVER_CERTIFICATE_REFUSED";
          throw new HeadroomError({ code: "RESOURCE_EXHAUSTED", reason, message: "", retryAfterMs: 20 });
        },
      },
    });
    const watch = client.plans.watch(planId)[Symbol.asyncIterator]();
    expect(await watch.next()).toMatchObject({
      value: { kind: "failed", error: { reason: "SERVER_CERTIFICATE_REFUSED" } },
    });
  });

  it("ends quietly when its signal aborts", async () => {
    const stop = new AbortController();
    const client = await clientOf({
      plans: {
        async *watchPlan(_request, { signal }) {
          yield event(1);
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        },
      },
    });
    const seen: string[] = [];
    for await (const item of client.plans.watch(planId, { signal: stop.signal })) {
      seen.push(item.kind);
      stop.abort();
    }
    expect(seen).toEqual(["item"]);
  });

  it("streams output without a byte twice", async () => {
    const piece = (seq: number, text: string, stream: wire.OutputStream): wire.StreamTaskLogsResponse =>
      wire.StreamTaskLogsResponse.create({ attemptId: planId, seq, stream, data: Buffer.from(text) });
    const { OUTPUT_STREAM_STDOUT: out, OUTPUT_STREAM_STDERR: err } = wire.OutputStream;
    let calls = 0;
    const client = await clientOf({
      plans: {
        async *streamTaskLogs({ attemptId }) {
          calls += 1;
          expect(attemptId).toBe(calls === 1 ? "" : planId);
          // The second time the first piece is gone, as the middle of a long output may be.
          if (calls === 1) yield piece(1, "one ", out);
          yield piece(2, "ERR", err);
          if (calls === 1) throw away();
          yield piece(4, "two", out);
        },
      },
    });
    const items = await collect(client.tasks.logs(planId, { follow: true }));
    const texts = items.map((item) => (item.kind === "item" ? item.value.data.toString() : item.kind));
    expect(texts).toEqual(["one ", "ERR", "interrupted", "two"]);
  });
});
