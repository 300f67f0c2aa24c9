import { wire } from "@headroom/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, type Handlers, runTestCli, startTestServices } from "./cli.test-helper.ts";

const id = "cccc1111-1111-4111-8111-111111111111";
const otherId = "cccc2222-1111-4111-8111-111111111111";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const tasksOfPlan = [
  wire.Task.create({ taskId: id, name: "frame" }),
  wire.Task.create({ taskId: otherId, name: "movie/final" }),
];

interface Changed {
  readonly ids: string[];
}

/** Two of each; with more behind them when `hasOlder`. */
function services(hasOlder: boolean, changed: Changed): Handlers {
  const nextPageToken = hasOlder ? "older" : "";
  const plan = (planId: string) => wire.Plan.create({ planId, name: "demo" });
  const task = (taskId: string) => wire.Task.create({ taskId, name: "one" });
  const change = <T>(changedId: string, answer: T): Promise<T> => {
    changed.ids.push(changedId);
    return Promise.resolve(answer);
  };
  return {
    fleet: {
      listJoinTokens: () =>
        Promise.resolve({
          tokens: [id, otherId].map((tokenId) => wire.JoinToken.create({ tokenId, poolName: "default" })),
          nextPageToken,
          totalSize: hasOlder ? 1_001 : 2,
        }),
      revokeJoinToken: ({ tokenId }) => change(tokenId, {}),
    },
    plans: {
      listPlans: () => Promise.resolve({ plans: [plan(id), plan(otherId)], nextPageToken }),
      listTasks: () => Promise.resolve({ tasks: [task(id), task(otherId)], nextPageToken }),
      getPlan: ({ planId }) => Promise.resolve({ plan: { ...plan(planId), tasks: tasksOfPlan } }),
      getTask: ({ taskId }) => Promise.resolve({ task: task(taskId) }),
      cancelPlan: ({ planId }) => change(planId, { plan: plan(planId) }),
      cancelTask: ({ taskId }) => change(taskId, { task: task(taskId) }),
      holdPlan: ({ planId }) => change(planId, wire.HoldPlanResponse.create()),
      releasePlan: ({ planId }) => change(planId, wire.ReleasePlanResponse.create()),
      retryPlan: ({ planId }) => change(planId, wire.RetryPlanResponse.create()),
    },
    queue: { resumePausedWork: ({ planId }) => change(planId, wire.ResumePausedWorkResponse.create()) },
  };
}

async function run(
  hasOlder: boolean,
  args: readonly string[],
): Promise<CliOutcome & { readonly changed: readonly string[] }> {
  const changed: Changed = { ids: [] };
  const started = await startTestServices(services(hasOlder, changed));
  cleanups.push(() => started.stop());
  return { ...(await runTestCli([...started.flags, ...args])), changed: changed.ids };
}

const changes: readonly (readonly [readonly string[]])[] = [
  [["task", "cancel"]],
  [["plan", "cancel"]],
  [["plan", "hold"]],
  [["plan", "release"]],
  [["plan", "retry"]],
  [["queue", "resume", "--plan"]],
  [["agents", "token", "revoke"]],
];

describe("the first characters of an id", () => {
  it.each(changes)("%j takes them where all ids were looked through", async (command) => {
    const { code, changed } = await run(false, [...command, "cccc1"]);
    expect([code, changed]).toEqual([0, [id]]);
  });

  it.each(changes)("%j refuses them where older ones were not: they may be meant", async (command) => {
    const { code, stderr, changed } = await run(true, [...command, "cccc1"]);
    expect(stderr).toMatch(
      /^headroom: more than one (task|plan|join token) may begin with cccc1: only the newest 2 \1s were looked through \(SHORT_ID_UNCERTAIN\)\n/,
    );
    expect(stderr).toMatch(new RegExp(`\n {2}- ${id} {2}.*\n {2}write the whole id: headroom .* -o json`));
    expect([code, changed]).toEqual([1, []]);
    // What the refusal shows is accepted.
    expect((await run(true, [...command, id])).changed).toEqual([id]);
  });

  it("a read takes the newest that they fit, and does not say that there is none where it has not looked", async () => {
    for (const command of [
      ["task", "get"],
      ["plan", "get"],
    ]) {
      expect((await run(true, [...command, "cccc1", "-o", "json"])).stdout).toContain(id);
      const missed = await run(true, [...command, "dddd"]);
      expect(missed.stderr).toMatch(
        /was found, and only the newest 2 .* \(SHORT_ID_UNCERTAIN\)\n {2}write the whole id: /,
      );
      expect(missed.code).toBe(1);
      expect((await run(false, [...command, "dddd"])).stderr).toContain("_NOT_FOUND");
    }
  });

  it("a task may be named in its plan, also where that is too old to be listed", async () => {
    expect((await run(false, ["task", "cancel", "cccc1/movie/final"])).changed).toEqual([otherId]);
    expect((await run(true, ["task", "cancel", `${id}/frame`])).changed).toEqual([id]);
    expect((await run(true, ["task", "cancel", "cccc1/frame"])).stderr).toContain("SHORT_ID_UNCERTAIN");
    // A name that is not there may look like the beginning of an id: what is changed must be certain.
    const guessed = await run(false, ["task", "cancel", `${id}/c`]);
    expect([guessed.changed, guessed.code]).toEqual([[], 1]);
    expect((await run(false, ["task", "cancel", `${id}/${otherId.slice(0, 8)}`])).changed).toEqual([]);
    expect((await run(false, ["task", "cancel", `${id}/${otherId}`])).changed).toEqual([otherId]);
    const missed = await run(false, ["task", "cancel", `${id}/other`]);
    expect(missed.stderr).toContain('no task of plan cccc1111 is other; "headroom plan get cccc1111" lists them');
    expect(missed.changed).toEqual([]);
  });

  it("what is no id is told where ids are found", async () => {
    const { code, stderr } = await run(false, ["task", "explain", "part-16"]);
    expect(stderr).toMatch(
      /"part-16" is not the id of a task \(INVALID_ID\)\n.*headroom plan get PLAN lists .* PLAN\/TASK will do/,
    );
    expect(code).toBe(1);
    expect((await run(false, ["plan", "get", "render"])).stderr).toContain("headroom plan list shows them");
  });

  it("are not what a hold says to release a plan with", async () => {
    const { stderr } = await run(false, ["plan", "hold", id]);
    expect(stderr).toContain(`let it go: headroom plan release ${id}\n`);
  });
});
