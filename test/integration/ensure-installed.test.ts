/** The installation that `npm start` and `npm test` begin with, by real processes and an npm of the test's. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";

const scripts = join(import.meta.dirname, "../../scripts");

/** Notes when it runs; stays until another one runs beside it, for a second at most. */
const npm = `
const { appendFileSync, mkdirSync, readFileSync, writeFileSync } = require("node:fs");
appendFileSync("npm.log", "begin\\n");
const endMs = Date.now() + 1000;
while (Date.now() < endMs && readFileSync("npm.log", "utf8") !== "begin\\nbegin\\n");
mkdirSync("node_modules", { recursive: true });
writeFileSync("node_modules/.package-lock.json", "{}");
appendFileSync("npm.log", "end\\n");
`;

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("install");
  await mkdir(join(dir.path, "scripts"));
  const names = (await readdir(scripts)).filter((name) => name.includes("install"));
  await Promise.all(names.map((name) => copyFile(join(scripts, name), join(dir.path, "scripts", name))));
  await writeFile(join(dir.path, "package-lock.json"), "{}");
  await writeFile(join(dir.path, "npm.cjs"), npm);
});
afterEach(() => dir.remove());

async function start(): Promise<number | null> {
  const code = 'import("./scripts/ensure-installed.mjs").then((module) => module.ensureInstalled())';
  const child = spawn(process.execPath, ["-e", code], {
    cwd: dir.path,
    env: { ...process.env, npm_execpath: join(dir.path, "npm.cjs") },
    stdio: "ignore",
  });
  const [exitCode] = (await once(child, "exit")) as [number | null];
  return exitCode;
}

const npmLog = (): Promise<string> => readFile(join(dir.path, "npm.log"), "utf8");

it("of several that start at once on a fresh clone one installs, and the others wait for it", async () => {
  expect(await Promise.all([start(), start(), start()])).toEqual([0, 0, 0]);
  expect(await npmLog()).toBe("begin\nend\n");
  expect((await readdir(dir.path)).filter((name) => name.startsWith(".installing"))).toEqual([]);
});

it("takes over what a process that has died left", async () => {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  await mkdir(join(dir.path, ".installing"));
  await writeFile(join(dir.path, ".installing", String(pid)), "");
  expect(await Promise.all([start(), start()])).toEqual([0, 0]);
  expect(await npmLog()).toBe("begin\nend\n");
});
