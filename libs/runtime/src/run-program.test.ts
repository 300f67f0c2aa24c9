import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runScript, temporaryFolder } from "./bundled-process.test-helper.ts";

async function failedStart(pretty: boolean): Promise<{ stderr: string; log: string; stdout: string }> {
  const logFile = join(await temporaryFolder(), "agent.log");
  const script = await runScript(`
    import { runProgram } from "./index.ts";
    const build = () => ({ name: "agent", start: () => Promise.reject(new Error("the folder is taken")), stop: async () => {}, state: () => "stopped" });
    await runProgram({ name: "agent", logFile: ${JSON.stringify(logFile)}, logLevel: "info", pretty: ${pretty}, build }).catch((error) => console.log("told: " + error.message));
  `);
  await script.ended;
  return { stderr: script.stderr(), log: await readFile(logFile, "utf8"), stdout: script.stdout() };
}

describe("a program that cannot start", () => {
  it("leaves it to its caller to tell a person at a terminal; the stack is in the log", async () => {
    const { stderr, log, stdout } = await failedStart(true);
    expect(stdout).toBe("told: the folder is taken\n");
    expect(stderr).toBe("");
    expect(JSON.parse(log)).toMatchObject({ level: "error", msg: "the agent could not start" });
    expect(log).toContain("Error: the folder is taken\\n    at ");
  });

  it("says so on stderr as JSON where a program reads it", async () => {
    const { stderr, log } = await failedStart(false);
    expect(JSON.parse(stderr)).toMatchObject({ level: "error", msg: "the agent could not start" });
    expect(stderr).toBe(log);
  });
});
