/** What every OrchestratorStore must do, whatever it is built on. Run it on each implementation. */
import type { OrchestratorStore } from "@headroom/orchestrator";
import { afterAll, beforeAll, beforeEach, describe } from "vitest";
import { acceptingConformance } from "./orchestrator-store/accepting.ts";
import { attemptsConformance } from "./orchestrator-store/attempts.ts";
import { cancellingConformance } from "./orchestrator-store/cancelling.ts";
import { claimsConformance } from "./orchestrator-store/claims.ts";
import { createStoreDesk, newPlan, newTask, paused } from "./orchestrator-store/desk.ts";
import { outputConformance } from "./orchestrator-store/output.ts";
import { queueConformance } from "./orchestrator-store/queue.ts";
import { readingConformance } from "./orchestrator-store/reading.ts";
import { roomHoldConformance } from "./orchestrator-store/room-holds.ts";

export interface OrchestratorStoreUnderTest {
  readonly store: OrchestratorStore;
  /** Removes everything. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** Runs the suite on stores that `makeStore` gives; one store for the file, emptied before each test. */
export function orchestratorStoreConformance(makeStore: () => Promise<OrchestratorStoreUnderTest>): void {
  let under: OrchestratorStoreUnderTest;
  beforeAll(async () => {
    under = await makeStore();
  });
  beforeEach(() => under.clear());
  afterAll(() => under.close());
  const desk = createStoreDesk(() => under.store);

  acceptingConformance(desk);
  claimsConformance(desk);
  queueConformance(desk);
  describe("room kept for large tasks", () =>
    roomHoldConformance(
      () => under.store,
      async () => {
        const task = newTask("large", { pause: paused });
        const plan = newPlan([task]);
        await desk.accept(plan);
        return { taskId: task.taskId, planId: plan.planId };
      },
    ));
  attemptsConformance(desk);
  outputConformance(desk);
  cancellingConformance(desk);
  readingConformance(desk);
}
