import { spawn } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { processStartTime, silentLogger, systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir, manualPorts, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadAgentConfig } from "./config/config.ts";
import { AgentDirInUseError, lockDataDir } from "./data-dir-lock.ts";
import { agentHome, type AgentStart } from "./home.ts";
import { ownerHoldFile, watchOwnerHold } from "./owner-hold.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("agent-home");
});
afterEach(() => dir.remove());

describe("the agent's folder", () => {
  it("keeps one identity over restarts, and counts them", async () => {
    const opened: AgentStart[] = [];
    for (let start = 0; start < 3; start += 1) {
      const home = agentHome(join(dir.path, "agent"), systemPorts);
      opened.push(await home.open());
      await home.close();
      await home.close();
    }
    expect(new Set(opened.map(({ agentId }) => agentId)).size).toBe(1);
    expect(opened[0]?.agentId).toMatch(/^[0-9a-f-]{36}$/);
    expect(opened.map(({ starts }) => starts)).toEqual([1, 2, 3]);
  });

  it.each(["{", "{}", '{"starts":-1}', '{"starts":"7"}', '{"starts":1e300}'])(
    "counts from 1 when the count is lost: %s",
    async (text) => {
      await writeFile(join(dir.path, "starts.json"), text);
      const home = agentHome(dir.path, systemPorts);
      expect((await home.open()).starts).toBe(1);
      await home.close();
    },
  );

  it("refuses a second agent, naming the first one's process and the way out", async () => {
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const held = await lockDataDir(dir.path, systemPorts, { pid: child.pid ?? 0 });
    const second = agentHome(dir.path, systemPorts);
    await expect(second.open()).rejects.toThrow(new RegExp(`process ${child.pid}.*HEADROOM_DATA_DIR`));
    await expect(second.open()).rejects.toBeInstanceOf(AgentDirInUseError);
    child.kill("SIGKILL");
    await waitFor(async () => (await processStartTime(child.pid ?? 0)) === null);
    // A dead owner does not keep the folder.
    await second.open();
    await second.close();
    await held.release();
  });

  it("lets one alone in when many find the last owner dead", async () => {
    await lockDataDir(dir.path, systemPorts, { pid: 4_000_000 });
    const tries = await Promise.allSettled(Array.from({ length: 10 }, () => lockDataDir(dir.path, systemPorts)));
    expect(tries.filter((one) => one.status === "fulfilled")).toHaveLength(1);
  });

  it("takes a damaged identity for an error, not for a new machine", async () => {
    await mkdir(join(dir.path, "agent"), { recursive: true });
    for (const text of ["{", '{"agent_id":"nonsense"}']) {
      await writeFile(join(dir.path, "agent", "identity.json"), text);
      await expect(agentHome(join(dir.path, "agent"), systemPorts).open()).rejects.toThrow(
        /delete the file to join as a new agent/,
      );
    }
    await rm(join(dir.path, "agent", "identity.json"));
    const home = agentHome(join(dir.path, "agent"), systemPorts);
    expect(
      JSON.parse(await home.open().then(() => readFile(join(dir.path, "agent", "identity.json"), "utf8"))),
    ).toHaveProperty("agent_id");
    await home.close();
  });
});

describe("the owner's hold", () => {
  it("is a file whose content is the reason", async () => {
    let changes = 0;
    const hold = watchOwnerHold({
      read: ownerHoldFile(dir.path),
      ports: systemPorts,
      logger: silentLogger,
      onChange: () => (changes += 1),
    });
    await hold.start();
    expect(hold.current()).toBeNull();
    await writeFile(join(dir.path, "owner-hold"), "gaming\n");
    await waitFor(() => hold.current() === "gaming");
    await rm(join(dir.path, "owner-hold"));
    await waitFor(() => hold.current() === null && changes === 2);
    await writeFile(join(dir.path, "owner-hold"), "");
    await hold.stop();
    await hold.start();
    // One that is there at the start counts from the start.
    expect(hold.current()).toBe("");
    await hold.stop();
  });

  it("is known as it is now to whoever looks anew; a look that was under way may have missed it", async () => {
    const ports = manualPorts();
    const answers: ((reason: string | null) => void)[] = [];
    let answersAtOnce = false;
    const hold = watchOwnerHold({
      read: () => (answersAtOnce ? Promise.resolve(null) : new Promise((resolve) => answers.push(resolve))),
      ports,
      logger: silentLogger,
      onChange: () => undefined,
    });
    const started = hold.start();
    answers.shift()?.(null);
    await started;
    await ports.settle();
    expect(answers).toHaveLength(1);
    const [looked, same] = [hold.look(), hold.look()];
    answers.shift()?.(null);
    await ports.settle();
    expect(answers).toHaveLength(1);
    answers.shift()?.("gaming");
    await Promise.all([looked, same]);
    expect(hold.current()).toBe("gaming");
    // One that hangs is waited for a second, and what was known stays in force.
    const hanging = hold.look();
    await ports.advance(1_000);
    await hanging;
    expect(hold.current()).toBe("gaming");
    answersAtOnce = true;
    for (const answer of answers) answer(null);
    await hold.stop();
  });

  it("holds although its reason cannot be read", async () => {
    const read = ownerHoldFile(dir.path);
    await mkdir(join(dir.path, "owner-hold"));
    expect(await read()).toContain("may not read");
    await rm(join(dir.path, "owner-hold"), { recursive: true });
    expect(await read()).toBeNull();
  });

  // Root may read everything.
  it.skipIf(process.getuid?.() === 0)("holds although somebody else's file cannot be read", async () => {
    await writeFile(join(dir.path, "owner-hold"), "gaming\n", { mode: 0o000 });
    expect(await ownerHoldFile(dir.path)()).toContain("may not read");
  });

  it("is said to be unreadable once when that begins, and once when it ends", async () => {
    const ports = manualPorts();
    const logger = captureLogger();
    let isBroken = true;
    const hold = watchOwnerHold({
      read: () => (isBroken ? Promise.reject(new Error("EMFILE")) : Promise.resolve(null)),
      ports,
      logger,
      onChange: () => undefined,
    });
    await hold.start();
    await ports.advance(10_000);
    isBroken = false;
    await ports.advance(10_000);
    expect(
      logger.records.filter(({ level }) => level !== "debug").map(({ level, message }) => [level, message]),
    ).toEqual([
      ["warn", "the owner's hold cannot be read; the last state stays in force"],
      ["info", "the owner's hold can be read again"],
      ["info", "the owner's hold changed"],
    ]);
    await hold.stop();
  });

  it("holds from the start while nobody can tell, and keeps what was told last afterwards", async () => {
    let told: string | null | Error = new Error("EMFILE");
    const hold = watchOwnerHold({
      read: () => (told instanceof Error ? Promise.reject(told) : Promise.resolve(told)),
      ports: systemPorts,
      logger: silentLogger,
      onChange: () => undefined,
    });
    await hold.start();
    expect(hold.current()).toContain("cannot be told");
    told = null;
    await waitFor(() => hold.current() === null);
    told = "gaming";
    await waitFor(() => hold.current() === "gaming");
    told = new Error("EIO");
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(hold.current()).toBe("gaming");
    await hold.stop();
  });
});

describe("the agent's configuration", () => {
  const load = (
    env: Record<string, string> = {},
    flags: Record<string, unknown> = {},
  ): ReturnType<typeof loadAgentConfig> => loadAgentConfig({ env: { HEADROOM_DATA_DIR: dir.path, ...env }, flags });

  it("has defaults", async () => {
    expect(await load()).toMatchObject({
      agentDir: join(dir.path, "agent"),
      registryAddr: { host: "127.0.0.1", port: 7_401 },
      orchestratorAddr: { host: "127.0.0.1", port: 7_411 },
      pool: "default",
      type: "desktop",
      labels: {},
      declared: { cpuMillicores: null, memoryMib: null, cards: null },
      offer: { cpuMillicores: null, memoryMib: null, vramMib: null },
      tokenFile: join(dir.path, "token"),
      isOwnTokenFile: true,
      tls: null,
    });
  });

  it("reads flags before the environment before agent.yaml", async () => {
    await mkdir(join(dir.path, "agent"), { recursive: true });
    await writeFile(
      join(dir.path, "agent", "agent.yaml"),
      "pool: from-file\nlabels: {site: berlin, floor: 3}\ndeclare_cpu_cores: 8\ndeclare_gpus: ['RTX 4090:24', 'RTX 4090:24']\noffer_memory_gb: 1.5\n",
    );
    expect(await load()).toMatchObject({
      pool: "from-file",
      labels: { site: "berlin", floor: "3" },
      declared: {
        cpuMillicores: 8_000,
        cards: [
          { model: "RTX 4090", vramMib: 24_576 },
          { model: "RTX 4090", vramMib: 24_576 },
        ],
      },
      offer: { memoryMib: 1_536 },
    });
    expect((await load({ HEADROOM_AGENT_POOL: "from-env" })).pool).toBe("from-env");
    expect((await load({ HEADROOM_AGENT_POOL: "from-env" }, { pool: "from-flag" })).pool).toBe("from-flag");
    expect((await load({ HEADROOM_AGENT_DECLARE_GPUS: "none" })).declared.cards).toEqual([]);
  });

  it("takes the file of --token-file before a token of the environment, and that before a file of the environment", async () => {
    const inEnv = { HEADROOM_TOKEN: "0123456789abcdef", HEADROOM_TOKEN_FILE: join(dir.path, "other") };
    expect(await load(inEnv)).toMatchObject({ token: "0123456789abcdef" });
    const tokenFile = join(dir.path, "mine");
    expect(await load(inEnv, { "token-file": tokenFile })).toMatchObject({ token: null, tokenFile });
  });

  it("refuses a token that no call could show", async () => {
    await expect(load({ HEADROOM_TOKEN: "correct horse battery staple" })).rejects.toThrow(
      "HEADROOM_TOKEN is no token",
    );
  });

  it.each([
    [
      "HEADROOM_AGENT_DECLARE_CPU_CORES",
      "-1",
      /HEADROOM_AGENT_DECLARE_CPU_CORES \(--declare-cpu-cores\): "-1".*0 to 4096/,
    ],
    [
      "HEADROOM_AGENT_DECLARE_GPUS",
      "RTX 4090",
      /HEADROOM_AGENT_DECLARE_GPUS \(--declare-gpus\): "RTX 4090" is not MODEL:VRAM_GB; write RTX 4090:24/,
    ],
    ["HEADROOM_AGENT_DECLARE_GPUS", "X:0", /"X:0" has a VRAM/],
    ["HEADROOM_AGENT_LABELS", "site", /HEADROOM_AGENT_LABELS \(--labels\): "site" is not KEY=VALUE; write site=berlin/],
    ["HEADROOM_AGENT_TYPE", "laptop", /HEADROOM_AGENT_TYPE \(--type\): "laptop".*desktop/],
    [
      "HEADROOM_REGISTRY_ADDR",
      "somewhere",
      /HEADROOM_REGISTRY_ADDR \(--registry-addr\): "somewhere".*127\.0\.0\.1:7401/,
    ],
    ["HEADROOM_AGENT_TLS_CERT_FILE", "/x.pem", /belong together/],
  ])("says how to write %s=%s right", async (name, value, message) => {
    await expect(load({ [name]: value })).rejects.toThrow(message);
  });

  it("names the file of a wrong setting", async () => {
    await mkdir(join(dir.path, "agent"), { recursive: true });
    const file = join(dir.path, "agent", "agent.yaml");
    await writeFile(file, "type: laptop\n");
    await expect(load()).rejects.toThrow(new RegExp(`agent\\.yaml: .*"laptop"`));
    await writeFile(file, "pol: x\n");
    await expect(load()).rejects.toThrow(/no setting "pol"; the settings are .*pool/);
    await writeFile(file, "pool: [\n");
    await expect(load()).rejects.toThrow(/cannot be read/);
  });
});
