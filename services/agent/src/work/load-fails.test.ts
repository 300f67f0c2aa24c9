import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { memoryJournal } from "../journal/memory-journal.ts";
import { memoryOutputStores } from "../output/memory-segments.ts";
import type { OutputStores } from "../output/segment-store.ts";
import { fakeRunner } from "./fake-runner.test-helper.ts";
import { createMachineRoom } from "./machine-room.ts";
import { Supervisor } from "./supervisor.ts";
import { attemptA, attemptB } from "./work-desk.test-helper.ts";

/** A supervisor whose journal holds an attempt that an earlier program left. */
async function afterACrash(stores: OutputStores) {
  const journal = memoryJournal();
  await journal.open();
  await journal.append({
    kind: "accepted",
    attemptId: attemptA,
    fence: 1,
    atMs: 0,
    taskId: "task",
    planId: "plan",
    taskName: "name",
    workLeaseMs: 60_000,
    reserved: { cpuMillicores: 0, memoryMib: 0, cards: [] },
  });
  const logger = captureLogger();
  const supervisor = new Supervisor({
    ports: manualPorts(),
    logger,
    journal,
    runner: fakeRunner(),
    stores,
    sampler: { takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }) },
    maxAttempts: 1,
    room: createMachineRoom(),
    isHeldByOwner: () => false,
    onAttemptsChanged: () => undefined,
  });
  return { supervisor, logger };
}

it("old output that cannot be removed keeps nothing from starting", async () => {
  const real = memoryOutputStores();
  const { supervisor, logger } = await afterACrash({
    list: () => Promise.resolve([attemptB]),
    open: (attemptId) => ({
      ...real.open(attemptId),
      remove: () => Promise.reject(new Error("EACCES")),
    }),
  });
  await supervisor.load();
  expect(logger.has("could not be removed", "warn")).toBe(true);
  await supervisor.get(attemptA)?.finished;
  expect(supervisor.get(attemptA)?.result).toMatchObject({ outcome: "agent_restarted" });
});

it("a stop after the journal could not be taken up does not wait for what nobody ends", async () => {
  const { supervisor } = await afterACrash({
    ...memoryOutputStores(),
    list: () => Promise.reject(new Error("EIO")),
  });
  await expect(supervisor.load()).rejects.toThrow("EIO");
  await supervisor.stop(0);
  expect(supervisor.get(attemptA)?.result).toBeNull();
});

it("a stop while the journal is being taken up waits for what that begins to end", async () => {
  const { supervisor } = await afterACrash(memoryOutputStores());
  await Promise.all([supervisor.load(), supervisor.stop(0)]);
  expect(supervisor.get(attemptA)?.result).toMatchObject({ outcome: "agent_restarted" });
});
