import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeTempDir, type SpawnedScript, spawnScript, type TempDir, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const program = fileURLToPath(new URL("signals-program.test-helper.ts", import.meta.url));
/** util-linux's: makes a terminal. Another one (macOS) takes other arguments. */
const hasTerminals =
  process.platform === "linux" &&
  spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux");

describe.skipIf(process.platform === "win32")("signals", { timeout: 60_000 }, () => {
  let dir: TempDir;
  let script: SpawnedScript | undefined;
  beforeEach(async () => {
    dir = await makeTempDir("signals");
  });
  afterEach(async () => {
    await script?.kill9();
    await dir.remove();
  });

  const said = (file: string): string | null => {
    try {
      const text = readFileSync(join(dir.path, file), "utf8");
      return text === "" ? null : text;
    } catch {
      return null;
    }
  };
  const saying = (file: string): Promise<string> =>
    waitFor(() => said(file), { describe: () => `a file ${file}; ${script?.output()}\n${said("agent.log")}` });
  async function started(mode: string): Promise<SpawnedScript> {
    script = await spawnScript(program, { args: [mode, dir.path] });
    await saying("up");
    return script;
  }
  /** As npm does it with Ctrl-C: two within milliseconds. */
  async function twice({ child }: SpawnedScript): Promise<void> {
    child.kill("SIGINT");
    expect(await saying("stopping")).toContain("SIGINT");
    child.kill("SIGINT");
  }

  it("a part that npx runs ends what it runs after one Ctrl-C, which reaches it twice", async () => {
    const part = await started("part");
    await twice(part);
    expect(await part.ended()).toBe(0);
    expect(said("last-words")).toBe("ok ok ok ok");
  });

  it("a command that waits ends with its own exit code after one Ctrl-C, which reaches it twice", async () => {
    const command = await started("watch");
    await twice(command);
    expect(await command.ended()).toBe(2);
  });

  it("a command that fails says so by its exit code, though nobody reads its stderr", async () => {
    script = await spawnScript(program, { args: ["failing", dir.path] });
    script.child.stderr?.destroy();
    expect(await script.ended()).toBe(3);
  });

  it("a hangup stops a part gracefully, though nobody reads what it says any more", async () => {
    writeFileSync(join(dir.path, "hasty"), "");
    const part = await started("part");
    for (const stream of [part.child.stdout, part.child.stderr]) {
      if (stream !== null) await once(stream.destroy(), "close");
    }
    part.child.kill("SIGHUP");
    expect(await part.ended()).toBe(0);
    expect(said("stopping")).toBe("SIGHUP");
    expect(said("last-words")).toMatch(/^EPIPE EPIPE /);
    expect(said("agent.log")).toMatch(/"stopped"/);
  });

  it.runIf(hasTerminals)("so does a terminal that is closed (needs `script` of util-linux)", async () => {
    writeFileSync(join(dir.path, "hasty"), "");
    await started("terminal");
    process.kill(Number(said("terminal")), "SIGKILL");
    expect(await saying("ended")).toBe("0");
    expect(said("stopping")).toBe("SIGHUP");
    expect(said("last-words")).toMatch(/^EIO EIO /);
    expect(said("agent.log")).toMatch(/"stopped"/);
  });
});
