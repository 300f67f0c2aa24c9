import { manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import type { AttemptKnown } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { Renewals } from "./renewals.ts";

const attemptOf = (attemptId: string): AttemptKnown => ({
  attemptId,
  fence: 1,
  taskId: `task of ${attemptId}`,
  planId: attemptId.charAt(0),
  agentId: "agent",
  state: "running",
  sent: true,
  cancelRequested: false,
});

/** Attempts of plan "x" are locked for minutes, those of plan "b" for a moment; plans have one letter. */
function desk() {
  const { clock } = manualPorts();
  const waitedFor: string[] = [];
  const renewLeases: OrchestratorStore["renewLeases"] = async (attempts, _agentId, waits) => {
    const all = attempts.map(({ attemptId }) => attemptOf(attemptId));
    if (waits === "never")
      return {
        renewed: all.filter(({ planId }) => planId === "a"),
        inUse: all.filter(({ planId }) => planId !== "a"),
      };
    waitedFor.push(...attempts.map(({ attemptId }) => attemptId));
    await Promise.resolve();
    if (all.some(({ planId }) => planId === "x")) throw Object.assign(new Error("locked"), { code: "55P03" });
    return { renewed: all, inUse: [] };
  };
  const renewals = new Renewals({ renewLeases }, clock);
  return {
    clock,
    waitedFor,
    renew: async (attemptIds: string) => {
      const { renewed, inUse } = await renewals.renew(attemptIds.split(" ").map(attemptOf), "agent");
      const ids = (attempts: readonly AttemptKnown[]): string => attempts.map(({ attemptId }) => attemptId).join(" ");
      return { renewed: ids(renewed), inUse: ids(inUse) };
    },
  };
}

it("waits for an attempt that is locked for a moment, and once in five seconds for a plan that is for minutes", async () => {
  const { clock, renew, waitedFor } = desk();
  expect(await renew("a1 b1 x1 b2 x2 x3")).toEqual({ renewed: "a1 b1 b2", inUse: "x1 x2 x3" });
  const inVain = waitedFor.filter((attemptId) => attemptId.startsWith("x")).length;
  expect(await renew("a1 b1 x1 x2")).toEqual({ renewed: "a1 b1", inUse: "x1 x2" });
  expect(waitedFor.filter((attemptId) => attemptId.startsWith("x"))).toHaveLength(inVain);
  clock.pass(5_000);
  await renew("x1 x2");
  expect(waitedFor.filter((attemptId) => attemptId.startsWith("x")).length).toBeGreaterThan(inVain);
});

it("I9: waits for no more than thirty-two in one renewal", async () => {
  const { renew, waitedFor } = desk();
  await renew(Array.from({ length: 100 }, (_, n) => `b${n}`).join(" "));
  expect(waitedFor).toHaveLength(32);
});
