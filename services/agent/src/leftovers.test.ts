import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "@headroom/testing";
import { expect, it } from "vitest";
import { readLeftovers } from "./leftovers.ts";

it("I1: the number of a first process that had ended is nobody's of the attempt any more; what it left is known by its mark", async () => {
  const dir = await makeTempDir("leftovers");
  const start = { kind: "started", fence: 1, pid: 42, startToken: "boot 1", atMs: 6 };
  const exit = { outcome: "exited", exitCode: 0, signal: "", sentence: "", cpuMs: null, endedAtMs: 9 };
  const lines = [
    { ...start, attemptId: "runs" },
    { ...start, attemptId: "ended", exit },
    // As no version writes it: a start all the same.
    { ...start, attemptId: "odd", exit: { outcome: "vanished" } },
  ];
  await writeFile(join(dir.path, "journal"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const same = { startToken: "boot 1", startedAtMs: 6 };
  expect(await readLeftovers(join(dir.path, "journal"))).toEqual([
    { attemptId: "runs", pid: 42, ...same },
    { attemptId: "ended", pid: null, ...same },
    { attemptId: "odd", pid: 42, ...same },
  ]);
  await dir.remove();
});
