import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "@headroom/testing";
import { expect, it } from "vitest";
import { readLeftovers } from "./leftovers.ts";

/** An attempt's id, the same for the same name. */
const uuidOf = (name: string): string =>
  `00000000-0000-4000-8000-${Buffer.from(name).toString("hex").padEnd(12, "0").slice(0, 12)}`;

it("I1: the number of a first process that had ended is nobody's of the attempt any more; what it left is known by its mark", async () => {
  const dir = await makeTempDir("leftovers");
  const start = { kind: "started", fence: 1, pid: 42, startToken: "boot 1", atMs: 6 };
  const exit = { outcome: "exited", exitCode: 0, signal: "", sentence: "", cpuMs: null, endedAtMs: 9 };
  const lines = [
    { ...start, attemptId: uuidOf("runs") },
    { ...start, attemptId: uuidOf("ended"), exit },
    // As no version writes it: a start all the same.
    { ...start, attemptId: uuidOf("odd"), exit: { outcome: "vanished" } },
  ];
  await writeFile(join(dir.path, "journal"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const same = { startToken: "boot 1", startedAtMs: 6 };
  expect(await readLeftovers(join(dir.path, "journal"))).toEqual([
    { attemptId: uuidOf("runs"), pid: 42, ...same },
    { attemptId: uuidOf("ended"), pid: null, ...same },
    { attemptId: uuidOf("odd"), pid: 42, ...same },
  ]);
  await dir.remove();
});
