/** What a log tells of the lines that it could not write, and how it goes on after them. */
import { spawnSync } from "node:child_process";
import { appendFileSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runScript, temporaryFolder } from "./bundled-process.test-helper.ts";
import { createLogger, type RootLogger } from "./index.ts";

/** Only Linux lets a limit be set on a process that runs; its tool is part of util-linux. */
const isLimitThere = process.platform === "linux" && spawnSync("sh", ["-c", "prlimit --version"]).status === 0;

const lostMessage = "this log could not be written for a while: lines before this one are missing";

/** Each line: what it says, its "lost_lines" if it has them, or the text of one that is no record. */
function told(file: string): unknown[] {
  const lines = readFileSync(file, "utf8").split("\n");
  expect(lines.pop()).toBe("");
  return lines.map((line) => {
    try {
      const { msg, lost_lines: lost } = JSON.parse(line) as Record<string, unknown>;
      return lost === undefined ? msg : { msg, lost };
    } catch {
      return { torn: line };
    }
  });
}

function loggerWithTime(file: string): { readonly logger: RootLogger; readonly pass: (ms: number) => void } {
  let nowMs = 0;
  const clock = { now: () => 1_700_000_000_123 + nowMs, monotonic: () => nowMs };
  return {
    logger: createLogger({ name: "agent", level: "error", file, stderr: false, clock }),
    pass: (ms) => void (nowMs += ms),
  };
}

describe("a log that could not be written", () => {
  it.runIf(process.platform === "linux")("says how many lines are missing, as soon as there is room", async () => {
    const file = join(await temporaryFolder(), "a.log");
    // Where every disk is full.
    symlinkSync("/dev/full", file);
    const { logger, pass } = loggerWithTime(file);
    for (let line = 0; line < 3; line += 1) logger.error("lost");
    logger.together(() => {
      logger.error("lost");
      logger.error("lost");
    });
    expect(logger.droppedLines()).toBe(5);
    rmSync(file);
    pass(3_000);
    logger.error("back");
    logger.error("and on");
    expect(told(file)).toEqual([{ msg: lostMessage, lost: 5 }, "back", "and on"]);
    expect(JSON.parse(readFileSync(file, "utf8").split("\n")[0] ?? "")).toEqual({
      level: "warn",
      time: "2023-11-14T22:13:23.123Z",
      service: "agent",
      lost_lines: 5,
      msg: lostMessage,
    });
    logger.close();
  });

  it.runIf(isLimitThere)("ends a line that was torn, so that the next one is whole", async () => {
    const file = join(await temporaryFolder(), "torn.log");
    // A file that may not grow takes as much of a write as fits, as a disk does that becomes full.
    const script = await runScript(`
      import { spawnSync } from "node:child_process";
      import { createLogger } from "./index.ts";
      const limit = (bytes) => {
        const done = spawnSync("prlimit", ["--pid", String(process.pid), "--fsize=" + bytes + ":"], { stdio: "inherit" });
        if (done.status !== 0) throw new Error("prlimit");
      };
      const logger = createLogger({ name: "x", file: ${JSON.stringify(file)}, stderr: false });
      limit(1_000);
      logger.together(() => { for (let n = 0; n < 20; n += 1) logger.info("line " + n); });
      logger.info("alone");
      limit("unlimited");
      logger.info("back");
      logger.info("and on");
      process.stdout.write(String(logger.droppedLines()));
    `);
    expect(await script.ended, script.stderr()).toEqual({ code: 0, signal: null });
    const lines = told(file);
    const whole = lines.findIndex((line) => typeof line !== "string");
    expect(whole).toBeGreaterThan(5);
    expect(lines.slice(0, whole)).toEqual(Array.from({ length: whole }, (_, n) => `line ${n}`));
    const lost = 20 - whole + 1;
    expect(lines.slice(whole)).toEqual([
      { torn: expect.stringMatching(/^\{"level"/) },
      { msg: lostMessage, lost },
      "back",
      "and on",
    ]);
    expect(script.stdout()).toBe(String(lost));
  });

  it("does not glue its first line to one that an earlier program has torn", async () => {
    const file = join(await temporaryFolder(), "a.log");
    appendFileSync(file, '{"level":"in');
    const { logger } = loggerWithTime(file);
    logger.error("first");
    logger.error("second");
    logger.close();
    expect(told(file)).toEqual([{ torn: '{"level":"in' }, "first", "second"]);
  });
});

describe.skipIf(process.platform === "win32")("a log file that somebody else takes away", () => {
  it.each([
    ["removed", (file: string) => rmSync(file)],
    ["rotated by another program", (file: string) => renameSync(file, `${file}.old`)],
  ])("%s: there is a new one within seconds", async (_, takeAway) => {
    const file = join(await temporaryFolder(), "a.log");
    const { logger, pass } = loggerWithTime(file);
    logger.error("before");
    takeAway(file);
    pass(3_000);
    logger.error("after");
    expect(told(file)).toEqual(["after"]);
    // Looked at again and again, and left where it is.
    pass(3_000);
    logger.error("later");
    expect(told(file)).toEqual(["after", "later"]);
    logger.close();
  });
});
