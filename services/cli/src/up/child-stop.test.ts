/** How a part is told to stop: on Windows a signal would end it at once. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemPorts } from "@headroom/runtime";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Child, superviseChild } from "./child.ts";

let dir: TempDir;
let child: Child | undefined;
beforeEach(async () => {
  dir = await makeTempDir("child stop");
});
afterEach(async () => {
  child?.kill();
  await dir.remove();
});

/** A part that writes down by what it was told to stop. */
async function startPart(platform: NodeJS.Platform, disconnects = false): Promise<Child> {
  const entry = join(dir.path, "part.mjs");
  await writeFile(
    entry,
    `import { writeFileSync } from "node:fs";
     const leave = (by) => { writeFileSync(${JSON.stringify(join(dir.path, "told"))}, by); process.exit(0); };
     process.once("SIGTERM", () => leave("SIGTERM"));
     setInterval(() => undefined, 1_000);
     process.send({ kind: "ready" }, () => {
       if (${String(disconnects)}) process.disconnect();
       else process.once("disconnect", () => leave("disconnect"));
     });`,
  );
  const part = superviseChild({
    name: "agent",
    entry,
    env: { PATH: process.env["PATH"] },
    ports: systemPorts,
    logFile: "agent.log",
    say: (line) => void said.push(line),
    platform,
  });
  child = part;
  await part.start();
  return part;
}

let said: string[] = [];
beforeEach(() => {
  said = [];
});
const toldBy = (): Promise<string> => readFile(join(dir.path, "told"), "utf8");

it.skipIf(process.platform === "win32").each([
  ["win32", "disconnect"],
  ["linux", "SIGTERM"],
] as const)("on %s by %s", async (platform, by) => {
  await (await startPart(platform)).stop(30_000);
  expect(await toldBy()).toBe(by);
  expect(said).toEqual([]);
});

it("on Windows one that has let go of its channel and does not leave is killed after its grace", async () => {
  const part = await startPart("win32", true);
  await part.stop(300);
  expect(said).toEqual([expect.stringMatching(/^headroom: the agent did not stop within .* and is killed$/)]);
});
