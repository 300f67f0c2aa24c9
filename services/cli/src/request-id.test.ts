import { wire } from "@headroom/contracts";
import { HeadroomError, type RpcCode } from "@headroom/rpc";
import { afterEach, describe, expect, it } from "vitest";
import {
  type CliOutcome,
  type Handlers,
  runTestCli,
  startTestServices,
  type TestCliOptions,
} from "./cli.test-helper.ts";

const planId = "bbbb1111-1111-4111-8111-111111111111";
const planFile = "name: demo\ntasks:\n  - { name: one, command: { argv: [node] } }\n";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Accepts a plan, or its retry, once for each request id, and answers with what `outcome` says. */
function keeping(outcome: () => Promise<void>): { readonly handlers: Handlers; readonly kept: Set<string> } {
  const kept = new Set<string>();
  const keep = async <T>({ requestId }: { readonly requestId: string }, answer: (duplicate: boolean) => T) => {
    const duplicate = kept.has(requestId);
    kept.add(requestId);
    await outcome();
    return answer(duplicate);
  };
  const handlers: Handlers = {
    plans: {
      dispatchPlan: (request) =>
        keep(request, (duplicate) => wire.DispatchPlanResponse.fromPartial({ planId, dispatchedTasks: 1, duplicate })),
      retryPlan: (request) =>
        keep(request, (duplicate) => wire.RetryPlanResponse.fromPartial({ retriedTasks: 1, duplicate })),
    },
  };
  return { handlers, kept };
}

async function start(
  handlers: Handlers,
): Promise<(args: readonly string[], options?: TestCliOptions) => Promise<CliOutcome>> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return (args, options = {}) => runTestCli([...services.flags, ...args], { stdin: planFile, ...options });
}

const toldId = ({ stderr }: CliOutcome): string => /--request-id (\S+): /.exec(stderr)?.[1] ?? "none";

describe.each([
  [["plan", "dispatch", "-"], "the plan is accepted once", "handed over before with this request id"],
  [["plan", "retry", planId], "the plan is tried again once", "asked for before with this request id"],
])("%j", (args, once, before) => {
  it.each<RpcCode>(["DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED"])(
    "ends in %s after it was sent: tells the id with which to run it again, and that is no second one",
    async (code) => {
      let isAway = true;
      const { handlers, kept } = keeping(() =>
        isAway ? Promise.reject(new HeadroomError({ code, reason: "AWAY", message: "no answer" })) : Promise.resolve(),
      );
      const run = await start(handlers);
      const failed = await run(args);
      expect(failed.stderr).toMatch(
        new RegExp(
          `^headroom: no answer \\(AWAY\\)\n {2}run it again with --request-id [0-9a-f-]{36}: ${once}, even if`,
        ),
      );
      expect(failed.code).toBe(1);
      isAway = false;
      const again = await run([...args, "--request-id", toldId(failed)]);
      expect([again.code, again.stderr]).toEqual([0, expect.stringContaining(before)]);
      expect([...kept]).toEqual([toldId(failed)]);
    },
  );

  it("tells the id that was given", async () => {
    const { handlers } = keeping(() =>
      Promise.reject(new HeadroomError({ code: "DEADLINE_EXCEEDED", reason: "AWAY", message: "no answer" })),
    );
    const run = await start(handlers);
    expect(toldId(await run([...args, "--request-id", planId]))).toBe(planId);
  });

  it("tells it to whoever interrupts the wait", async () => {
    const interrupt = new AbortController();
    const { handlers, kept } = keeping(async () => {
      interrupt.abort();
      await new Promise((resolve) => cleanups.push(() => resolve(null)));
    });
    const run = await start(handlers);
    const outcome = await run(args, { interrupt: interrupt.signal });
    expect(outcome.code).toBe(1);
    expect([...kept]).toEqual([toldId(outcome)]);
  });

  it("tells no id where it is known that nothing was done", async () => {
    const { handlers } = keeping(() =>
      Promise.reject(new HeadroomError({ code: "FAILED_PRECONDITION", reason: "NO", message: "cannot be" })),
    );
    const run = await start(handlers);
    expect((await run(args)).stderr).toBe("headroom: cannot be (NO)\n");
  });
});
