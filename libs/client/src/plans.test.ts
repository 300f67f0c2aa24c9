import { wire } from "@headroom/contracts";
import { manualPorts, waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { type HeadroomClient } from "./client.ts";
import { away, type Fakes, fakeToken } from "./fake-services.test-helper.ts";
import type { DispatchSettings, RetrySettings } from "./plans.ts";
import { clientOf, planId } from "./client.test-helper.ts";

describe("dispatch", () => {
  it("repeats a call whose answer was lost with the same request id, so that nothing is accepted twice", async () => {
    const requestIds: string[] = [];
    const client = await clientOf({
      plans: {
        dispatchPlan: ({ requestId }) => {
          requestIds.push(requestId);
          return requestIds.length < 3
            ? Promise.reject(away())
            : Promise.resolve(wire.DispatchPlanResponse.create({ planId, duplicate: true }));
        },
      },
    });
    const answer = await client.plans.dispatch({ name: "a", tasks: [{ name: "t", command: { argv: ["true"] } }] });
    expect(answer).toMatchObject({ kind: "ok", value: { planId } });
    expect(requestIds).toHaveLength(3);
    expect(new Set(requestIds).size).toBe(1);
    expect(requestIds[0]).toMatch(/^[0-9a-f-]{36}$/);
  });

  /** Each accepts once for an id, and answers with what `outcome` says. */
  const repeatable = {
    dispatch: (plans: HeadroomClient["plans"], settings: DispatchSettings) =>
      plans.dispatch({ name: "a", tasks: [{ name: "t", command: { argv: ["true"] } }] }, settings),
    retry: (plans: HeadroomClient["plans"], settings: RetrySettings) => plans.retry(planId, settings),
  };
  type Asked = { readonly requestId: string; readonly deadlineLeftMs: number | null };
  const answering = (outcome: (asked: Asked) => Promise<void>): Fakes => ({
    plans: {
      dispatchPlan: async ({ requestId }, { deadlineLeftMs }) => {
        await outcome({ requestId, deadlineLeftMs });
        return wire.DispatchPlanResponse.create({ planId });
      },
      retryPlan: async ({ requestId }, { deadlineLeftMs }) => {
        await outcome({ requestId, deadlineLeftMs });
        return wire.RetryPlanResponse.create();
      },
    },
  });

  describe.each(["dispatch", "retry"] as const)("%s", (name) => {
    const call = repeatable[name];

    it("R-PAUSE-8: an error tells the id with which the call is repeated, made by the client or given", async () => {
      const asked = new Set<string>();
      let isAway = true;
      const client = await clientOf(
        answering(({ requestId }) => {
          asked.add(requestId);
          return isAway ? Promise.reject(away()) : Promise.resolve();
        }),
      );
      const failed = await call(client.plans, {});
      expect(failed).toMatchObject({ kind: "error", error: { kind: "unavailable", requestId: [...asked][0] } });
      isAway = false;
      const requestId = failed.kind === "error" ? (failed.error.requestId ?? "") : "";
      expect(await call(client.plans, { requestId })).toMatchObject({ kind: "ok" });
      expect([...asked]).toEqual([requestId]);
      isAway = true;
      const given = await call(client.plans, { requestId: planId });
      expect(given).toMatchObject({ kind: "error", error: { requestId: planId } });
      client.close();
      expect(await call(client.plans, { requestId })).toMatchObject({ error: { kind: "cancelled", requestId } });
    });

    it("all tries together take no longer than the call may", async () => {
      const ports = manualPorts();
      const leftMs: (number | null)[] = [];
      const client = await clientOf(
        answering(({ deadlineLeftMs }) => {
          leftMs.push(deadlineLeftMs);
          ports.clock.pass(3_000);
          return Promise.reject(away());
        }),
        fakeToken,
        ports,
      );
      const answer = call(client.plans, { timeoutMs: 6_500 });
      await waitFor(() => ports.timers.pendingDelays().includes(200));
      await ports.advance(200);
      // 300 ms are left, and the next try would come after 800.
      expect(await answer).toMatchObject({ kind: "error", error: { kind: "unavailable" } });
      expect(leftMs).toHaveLength(2);
      expect(leftMs[1]).toBeLessThanOrEqual(3_300);
    });
  });
});
