/** How often the machine is looked at when many attempts ask at once, and which look may answer whom. */
import { createDeferred, silentLogger, systemPorts, type Deferred } from "@headroom/runtime";
import { makeTempDir, manualPorts, waitFor, type TempDir } from "@headroom/testing";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endGroup, ProcessGroup } from "../runner/process-group.ts";
import { attemptMarker } from "../runner/task-environment.ts";
import { linuxProcessTable } from "./linux-table.ts";
import { MarkedProcesses } from "./marked-processes.ts";
import type { ProcessTable } from "./process-table.ts";
import { SharedLook } from "./shared-look.ts";

const attempts = Array.from({ length: 64 }, (_, number) => `attempt-${number}`);

describe("SharedLook", () => {
  function lookOf(isBusy = false) {
    const ports = manualPorts();
    const begun: Deferred<number>[] = [];
    const look = new SharedLook({
      ...ports,
      isBusy,
      look() {
        const answer = createDeferred<number>();
        begun.push(answer);
        return answer.promise;
      },
    });
    const hasBegun = (count: number): Promise<unknown> => waitFor(() => begun.length === count);
    return { ports, begun, hasBegun, look };
  }

  it("I9: answers all who asked before it began with one look, and whoever asks during it with the next", async () => {
    const { ports, begun, hasBegun, look } = lookOf();
    const early = [look.ask(), look.ask()];
    await hasBegun(1);
    const late = [look.ask(), look.ask()];
    await ports.settle();
    expect(begun).toHaveLength(1);
    begun[0]?.resolve(1);
    expect(await Promise.all(early)).toEqual([1, 1]);
    await hasBegun(2);
    begun[1]?.resolve(2);
    expect(await Promise.all(late)).toEqual([2, 2]);
  });

  it("fails for those who share it, and the next is made", async () => {
    const { begun, hasBegun, look } = lookOf();
    const early = [look.ask(), look.ask()].map((asked) => asked.catch((error: unknown) => error));
    await hasBegun(1);
    const late = look.ask();
    const failure = new Error("EMFILE");
    begun[0]?.reject(failure);
    expect(await Promise.all(early)).toEqual([failure, failure]);
    await hasBegun(2);
    begun[1]?.resolve(2);
    expect(await late).toBe(2);
  });

  it("I9: one that hangs fails, and the next is made", async () => {
    const { ports, begun, hasBegun, look } = lookOf();
    const first = look.ask().catch(String);
    await hasBegun(1);
    await ports.advance(30_000);
    expect(await first).toMatch("not over after 30 s");
    const second = look.ask();
    await hasBegun(2);
    begun[1]?.resolve(2);
    expect(await second).toBe(2);
  });

  it("I9: where it takes the program's own time, the next one waits as long as it took", async () => {
    const { ports, begun, hasBegun, look } = lookOf(true);
    const first = look.ask();
    await hasBegun(1);
    ports.clock.pass(40);
    begun[0]?.resolve(1);
    await first;
    const second = look.ask();
    await waitFor(() => ports.timers.pendingDelays().includes(40));
    await ports.advance(39);
    await ports.settle();
    expect(begun).toHaveLength(1);
    await ports.advance(1);
    await hasBegun(2);
    // It stood still in the middle.
    ports.clock.pass(3_600_000);
    begun[1]?.resolve(2);
    await second;
    void look.ask();
    await waitFor(() => ports.timers.pendingDelays().length === 1);
    await ports.advance(500);
    await hasBegun(3);
  });
});

describe("looks of many attempts", () => {
  let dir: TempDir;
  beforeEach(async () => {
    dir = await makeTempDir("shared looks");
  });
  afterEach(() => dir.remove());

  it("I9: list the processes and read the environment of each once for all of them", async () => {
    const reads: number[] = [];
    let lists = 0;
    const rows = Array.from({ length: 100 }, (_, number) => ({ pid: 1_000 + number, startToken: "boot 1" }));
    const marked = new MarkedProcesses({
      ...systemPorts,
      lookLimitMs: 60_000,
      list() {
        lists += 1;
        return Promise.resolve(rows);
      },
      readEnvironment({ pid }) {
        reads.push(pid);
        return Promise.resolve({ kind: "read", value: `A=1\0${attemptMarker(`attempt-${pid - 1_000}`)}\0` });
      },
    });
    const looks = await Promise.all(attempts.map((attemptId) => marked.find(attemptMarker(attemptId))));
    expect(looks.map(({ found }) => found)).toEqual(attempts.map((_, number) => [rows[number]]));
    expect(reads).toEqual(rows.map(({ pid }) => pid));
    expect(lists).toBe(1);
    // Whoever asks now is told what is so now.
    await marked.find(attemptMarker("attempt-1"));
    expect(reads).toHaveLength(200);
  });

  /** Its scans are told apart by the list that each has made. */
  function counting(table: ProcessTable): { readonly table: ProcessTable; readonly scans: Set<unknown> } {
    const scans = new Set<unknown>();
    const list = async () => {
      const rows = await table.list();
      scans.add(rows);
      return rows;
    };
    return { table: { ...table, list }, scans };
  }

  it("I6, I9: share their scans when they end together, and each is gone after two whole looks of its own", async () => {
    for (const pid of [101, 102]) {
      await mkdir(join(dir.path, String(pid)));
      const fields = ["S", 1, pid, pid, 0, -1, 0, ...Array.from({ length: 12 }, () => 0), 1_000 + pid, 0, 25_600];
      await writeFile(join(dir.path, String(pid), "stat"), `${pid} (other) ${fields.join(" ")}\n`);
      await writeFile(join(dir.path, String(pid), "environ"), "A=1\0");
    }
    const { table, scans } = counting(linuxProcessTable({ procDir: dir.path }));
    const seenBy = attempts.map(() => new Set<unknown>());
    await Promise.all(
      attempts.map((attemptId, number) => {
        const own: ProcessTable = {
          ...table,
          async list() {
            const rows = await table.list();
            seenBy[number]?.add(rows);
            return rows;
          },
        };
        const group = new ProcessGroup({ groupId: 5_000_000 + number, attemptId, processes: own });
        return endGroup(group, { ...systemPorts, logger: silentLogger, graceMs: () => 10_000, isOurs: () => false });
      }),
    );
    // One at the group, and two for what may have left it: no two of them are the same.
    expect(seenBy.map((seen) => seen.size)).toEqual(attempts.map(() => 3));
    // Each for itself would make three, and one more for each look at the environments.
    expect(scans.size).toBeLessThan(attempts.length);
  });
});
