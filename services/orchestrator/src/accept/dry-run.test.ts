import type { ReserveRequest } from "@headroom/contracts";
import { HeadroomError, type RpcCode } from "@headroom/rpc";
import { captureLogger, SeededRandom } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import type { ReserveAnswer } from "../registry/port.ts";
import type { NewTask } from "../store/model.ts";
import { type DryRun, dryRun } from "./dry-run.ts";

const tasks = Array.from({ length: 8 }, (_, index) => ({ taskId: `task-${index + 1}`, needs: {} }) as NewTask);

const failed = (code: RpcCode): HeadroomError => new HeadroomError({ code, reason: code, message: `it is ${code}` });

/** A registry with room for three in each draft. */
async function runWith(refuses: (taskIds: readonly string[]) => void) {
  const calls: (readonly string[])[] = [];
  const reserve = (requests: readonly ReserveRequest[], options?: { readonly dryRun?: boolean }) => {
    expect(options).toEqual({ dryRun: true });
    const taskIds = requests.map(({ taskId }) => taskId);
    calls.push(taskIds);
    refuses(taskIds);
    const outcomes = requests.map((_, index) => ({ kind: index < 3 ? "reserved" : "no_room" }));
    return Promise.resolve({ outcomes, revision: { instance: "registry", counter: 1 } } as unknown as ReserveAnswer);
  };
  const options = {
    registry: { reserve },
    avoided: { current: () => new Set<string>() },
    kept: { avoidedBy: () => new Set<string>() },
  };
  const found = await dryRun({ ...options, ports: { random: new SeededRandom(1) } }, tasks, captureLogger());
  return { ...found, calls };
}

const idsOf = (some: readonly { readonly task: NewTask }[]): readonly string[] => some.map(({ task }) => task.taskId);
const placed = ({ answered }: DryRun): readonly string[] =>
  idsOf(answered.filter(({ outcome }) => outcome.kind === "reserved"));

describe("a dry run", () => {
  it("is one question", async () => {
    const found = await runWith(() => undefined);
    expect(found.calls).toHaveLength(1);
    expect(placed(found)).toEqual(["task-1", "task-2", "task-3"]);
    expect(found).toMatchObject({ refused: [], away: null });
  });

  it("of which one task is refused says that of the one; the others are of one draft all the same", async () => {
    const found = await runWith((taskIds) => {
      if (taskIds.includes("task-2")) throw failed("INVALID_ARGUMENT");
    });
    expect(idsOf(found.refused)).toEqual(["task-2"]);
    expect(found.refused[0]?.error).toMatchObject({ message: "it is INVALID_ARGUMENT" });
    expect(placed(found)).toEqual(["task-1", "task-3", "task-4"]);
    expect(found.answered).toHaveLength(7);
    expect(found.away).toBeNull();
  });

  it("of which every task is refused asks for nothing in the end", async () => {
    const found = await runWith(() => {
      throw failed("INVALID_ARGUMENT");
    });
    expect(found.refused).toHaveLength(8);
    expect(found).toMatchObject({ answered: [], away: null });
    expect(found.calls.every((taskIds) => taskIds.length > 0)).toBe(true);
  });

  it("of a registry that is away is one question, and says nothing of the tasks", async () => {
    const found = await runWith(() => {
      throw failed("UNAVAILABLE");
    });
    expect(found.calls).toHaveLength(1);
    expect(found).toMatchObject({ answered: [], refused: [], away: { code: "UNAVAILABLE" } });
  });

  it("throws what is no word of the registry", async () => {
    await expect(
      runWith(() => {
        throw new TypeError("a fault of ours");
      }),
    ).rejects.toThrow("a fault of ours");
  });
});
