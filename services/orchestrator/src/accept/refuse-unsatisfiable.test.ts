import { wire } from "@headroom/contracts";
import { HeadroomError, type RpcCode } from "@headroom/rpc";
import { describe, expect, it } from "vitest";
import type { CapacityAnswer } from "../registry/port.ts";
import { type Judges, refuseUnsatisfiable } from "./refuse-unsatisfiable.ts";

const plan = wire.WorkPlan.fromPartial({
  name: "plan",
  tasks: [1, 64, 64].map((cpuCores, index) => ({ name: `${index}`, command: { argv: ["true"] }, needs: { cpuCores } })),
});

const failed = (code: RpcCode, reason: string): HeadroomError =>
  new HeadroomError({ code, reason, message: `it is ${reason}` });

/** What became of the plan, and how often the registry was asked. */
async function ask(isUp: boolean, explain: (millicores: number) => wire.FleetVerdict) {
  let times = 0;
  const judges = {
    fleet: { snapshot: () => (isUp ? { kind: "up" } : { kind: "down", sentence: "It gives no sign of life." }) },
    registry: {
      explain: (needs: { readonly cpuMillicores: number }): Promise<CapacityAnswer> => {
        times += 1;
        const explanation = wire.CapacityExplanation.fromPartial({ verdict: explain(needs.cpuMillicores) });
        return Promise.resolve({ explanation, roomInMs: null, roomOnAgentId: null });
      },
    },
  } as unknown as Judges;
  const error = await refuseUnsatisfiable(judges, plan).catch((reason: unknown) => reason);
  return { error, times };
}

describe("fail_unsatisfiable", () => {
  it("names each task that can never fit; tasks that are alike are one question", async () => {
    const { FLEET_VERDICT_NEVER: never, FLEET_VERDICT_NOT_NOW: notNow } = wire.FleetVerdict;
    const { error, times } = await ask(true, (millicores) => (millicores > 8_000 ? never : notNow));
    expect(error).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "CAN_NEVER_FIT",
      fieldViolations: [{ field: "plan.tasks[1].needs" }, { field: "plan.tasks[2].needs" }],
    });
    expect(times).toBe(2);
  });

  it("does not ask a registry that is known to give no sign of life", async () => {
    const { error, times } = await ask(false, () => wire.FleetVerdict.FLEET_VERDICT_FITS);
    expect(times).toBe(0);
    expect(error).toMatchObject({
      code: "UNAVAILABLE",
      reason: "REGISTRY_UNAVAILABLE",
      retryAfterMs: 1_000,
      message: expect.stringMatching(/^It gives no sign of life\. .* nothing was accepted: try again/) as string,
    });
  });

  it.each([
    ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"],
    ["UNAUTHENTICATED", "TOKEN_INVALID"],
    ["UNAVAILABLE", "REGISTRY_STARTING"],
    ["INTERNAL", "INTERNAL"],
    ["RESOURCE_EXHAUSTED", "TOO_MANY_UNFINISHED_REQUESTS"],
  ] as const)(
    "a registry that answers %s cannot be asked, which is UNAVAILABLE to the planner",
    async (code, reason) => {
      const { error } = await ask(true, () => {
        throw failed(code, reason);
      });
      expect(error).toMatchObject({
        code: "UNAVAILABLE",
        reason: "REGISTRY_UNAVAILABLE",
        message: expect.stringContaining(`it is ${reason}`) as string,
      });
    },
  );

  it("what the registry finds wrong with the question, and a fault of ours, are told as they are", async () => {
    const refusal = failed("INVALID_ARGUMENT", "INVALID_REQUEST");
    const fault = new TypeError("a fault of ours");
    for (const thrown of [refusal, fault]) {
      const { error } = await ask(true, () => {
        throw thrown;
      });
      expect(error).toBe(thrown);
    }
  });
});
