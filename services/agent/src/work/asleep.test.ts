/** What comes while the machine is about to sleep: nothing of it may run when it stands still. */
import { durationFromMs } from "@headroom/contracts";
import { createDeferred } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import {
  assign,
  attemptA,
  attemptB,
  freshAgentForEachTest,
  pass,
  ports,
  runner,
  say,
  sentOf,
  stalls,
  supervisor,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

const renewed = (attemptIds: string[]): Promise<void> =>
  say({ $case: "renewed", value: { attemptIds, unwantedAttemptIds: [] } });

describe("a machine that is about to sleep", () => {
  it("lets nothing go on for a renewal that comes meanwhile, and for one that comes after it is back", async () => {
    await welcome();
    await renewed([]);
    await assign(attemptA);
    await pass(20_000);
    supervisor.sleep();
    await renewed([attemptA]);
    expect(runner.runs[0]?.frozen).toBe(true);
    supervisor.wake();
    await pass(20_000);
    expect(runner.runs[0]?.frozen).toBe(true);
    await renewed([attemptA]);
    expect(runner.runs[0]?.frozen).toBe(false);
  });

  it("takes nothing that is given to it meanwhile, and takes it when it is given again", async () => {
    await welcome();
    supervisor.sleep();
    await assign(attemptA);
    expect(sentOf("answer")).toEqual([]);
    expect(runner.runs).toEqual([]);
    supervisor.wake();
    await assign(attemptA);
    expect(sentOf("answer")).toMatchObject([{ attemptId: attemptA, accepted: true }]);
    expect(runner.runs).toHaveLength(1);
  });

  it("stops what was being started", async () => {
    const folder = createDeferred();
    const startAtOnce = runner.start.bind(runner);
    runner.start = async (spec, sink) => {
      await folder.promise;
      return startAtOnce(spec, sink);
    };
    await welcome();
    await assign(attemptB);
    supervisor.sleep();
    folder.resolve();
    await ports.settle();
    expect(runner.runs[0]?.frozen).toBe(true);
    await pass(61_000);
    expect(supervisor.get(attemptB)?.result).toBeNull();
  });
});

describe("a system that cannot stop processes without ending them", () => {
  it("has those ended at once whose lease ended while the machine slept, and lets the others go on", async () => {
    runner.freezes = false;
    await welcome();
    await renewed([]);
    await assign(attemptA);
    await assign(attemptB, 1, { workLease: durationFromMs(600_000) });
    await pass(1_000);
    ports.clock.pass(120_000);
    supervisor.wake();
    supervisor.tick(stalls.tick());
    expect(runner.runs.map(({ graces }) => graces)).toEqual([[0], []]);
    expect(supervisor.get(attemptA)?.endCause?.outcome).toBe("lease_expired");
    expect(supervisor.get(attemptB)?.lease.frozenUntilMs).toBeNull();
  });

  it("does not hold a lease for endless because a sleep was announced", async () => {
    runner.freezes = false;
    await welcome();
    await renewed([]);
    await assign(attemptA);
    supervisor.sleep();
    await pass(61_000);
    expect(supervisor.get(attemptA)?.endCause?.outcome).toBe("lease_expired");
  });
});
