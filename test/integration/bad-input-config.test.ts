import { createServer } from "node:net";
import { join } from "node:path";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { builtCommand } from "../e2e/support/built-command.ts";
import { freePorts } from "../e2e/support/free-ports.ts";
import { type Ending, serviceProcess } from "../e2e/support/service-process.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let dir: TempDir;
let command: string;

beforeAll(async () => {
  command = await builtCommand();
  dir = await makeTempDir("bad-config");
}, 120_000);

afterAll(() => dir?.remove());

type Part = "registry" | "orchestrator" | "agent";

let runs = 0;

/** Runs a part with these settings until it ends by itself, at most 30 s. */
async function runWith(part: Part, env: Readonly<Record<string, string>>): Promise<{ ending: Ending; output: string }> {
  runs += 1;
  const home = join(dir.path, `run-${runs}`);
  const [grpc, http] = await freePorts(2);
  const prefix = `HEADROOM_${part.toUpperCase()}`;
  const service = serviceProcess({
    name: part,
    argv: [process.execPath, command, part],
    env: {
      HEADROOM_DATA_DIR: join(home, "data"),
      // Nobody listens there: a part that took the wrong value would wait, and be found out by the time limit.
      DATABASE_URL: "postgresql://nobody@127.0.0.1:1/headroom",
      ...(part !== "agent" && {
        [`${prefix}_GRPC_ADDR`]: `127.0.0.1:${grpc}`,
        [`${prefix}_HTTP_ADDR`]: `127.0.0.1:${http}`,
      }),
      ...env,
    },
    outputFile: join(home, "output"),
    logFile: join(home, "data", "logs", `${part}.log`),
  });
  service.start();
  const timer = setTimeout(() => void service.kill9().catch(() => undefined), 30_000);
  try {
    return { ending: await service.ended(), output: service.output() };
  } finally {
    clearTimeout(timer);
  }
}

interface WrongSetting {
  readonly part: Part;
  readonly env: string;
  readonly value: string;
  /** How to write it right, as the error has to say. */
  readonly says: RegExp;
}

const wrongSettings: readonly WrongSetting[] = [
  { part: "orchestrator", env: "PAUSE_CAPACITY_THRESHOLD_PERCENT", value: "20", says: /0\.2 for 20 %/ },
  { part: "orchestrator", env: "PAUSE_CAPACITY_THRESHOLD_PERCENT", value: "-0.1", says: /from 0 to 1/ },
  { part: "orchestrator", env: "PAUSE_POLLING_INTERVAL_SECONDS", value: "often", says: /write \d/ },
  { part: "orchestrator", env: "HEADROOM_ORCHESTRATOR_GRPC_ADDR", value: "7411", says: /127\.0\.0\.1:7\d+/ },
  { part: "orchestrator", env: "HEADROOM_REGISTRY_ADDR", value: "http://127.0.0.1:7401", says: /127\.0\.0\.1:7401/ },
  { part: "orchestrator", env: "DATABASE_URL", value: "mysql://root@localhost/x", says: /postgres(ql)?:\/\// },
  { part: "registry", env: "DATABASE_URL", value: "localhost", says: /postgres(ql)?:\/\// },
  { part: "registry", env: "HEADROOM_REGISTRY_GRPC_ADDR", value: "127.0.0.1:99999", says: /65535/ },
  { part: "registry", env: "HEADROOM_HEARTBEAT_INTERVAL_SECONDS", value: "0", says: /from 0?\.?\d+ to \d+/ },
  { part: "registry", env: "HEADROOM_LOG_LEVEL", value: "loud", says: /debug, info, warn, error/ },
  { part: "agent", env: "HEADROOM_AGENT_DECLARE_CPU_CORES", value: "many", says: /write \d/ },
  { part: "agent", env: "HEADROOM_AGENT_DECLARE_GPUS", value: "RTX 4090", says: /RTX 4090:24/ },
  { part: "agent", env: "HEADROOM_REGISTRY_ADDR", value: "registry", says: /127\.0\.0\.1:7401/ },
  { part: "agent", env: "HEADROOM_AGENT_TYPE", value: "laptop", says: /desktop/ },
];

describe("a wrong setting", () => {
  it.each(wrongSettings)(
    "R-PAUSE-1: $part with $env=$value ends with 1 and says how to write it",
    async ({ part, env, value, says }) => {
      const { ending, output } = await runWith(part, { [env]: value });
      expect(ending, output).toBe(1);
      expect(output).toContain(env);
      expect(output).toContain(value);
      expect(output).toMatch(says);
      // For a person: no stack of ours.
      expect(output).not.toMatch(/^\s+at .*\.(ts|mjs):\d+/m);
    },
  );

  it("several wrong settings are told at once", async () => {
    const { ending, output } = await runWith("orchestrator", {
      PAUSE_CAPACITY_THRESHOLD_PERCENT: "20%",
      PAUSE_POLLING_INTERVAL_SECONDS: "soon",
    });
    expect(ending).toBe(1);
    expect(output).toContain("PAUSE_CAPACITY_THRESHOLD_PERCENT");
    expect(output).toContain("PAUSE_POLLING_INTERVAL_SECONDS");
  });

  it.each(["registry", "orchestrator"] as const)("%s without DATABASE_URL says that it needs one", async (part) => {
    const { ending, output } = await runWith(part, { DATABASE_URL: "" });
    expect(ending, output).toBe(1);
    expect(output).toContain("DATABASE_URL");
    expect(output).toMatch(/postgres(ql)?:\/\/|headroom up/);
  });

  it.each([
    ["registry", "HEADROOM_REGISTRY_GRPC_ADDR"],
    ["orchestrator", "HEADROOM_ORCHESTRATOR_HTTP_ADDR"],
  ] as const)("%s on a port that is taken names it and the setting %s", async (part, setting) => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const address = holder.address();
    const taken = typeof address === "object" && address !== null ? `127.0.0.1:${address.port}` : "";
    try {
      const { ending, output } = await runWith(part, { [setting]: taken });
      expect(ending, output).toBe(1);
      expect(output).toContain(taken);
      expect(output).toContain(setting);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  });

  it.each(["registry", "orchestrator"] as const)(
    "%s refuses to listen to the world without TLS and says what to set",
    async (part) => {
      const [port] = await freePorts(1);
      const { ending, output } = await runWith(part, {
        [`HEADROOM_${part.toUpperCase()}_GRPC_ADDR`]: `0.0.0.0:${port}`,
      });
      expect(ending, output).toBe(1);
      for (const word of ["HEADROOM_TLS_CERT_FILE", "HEADROOM_TLS_KEY_FILE", "HEADROOM_ALLOW_PLAINTEXT"])
        expect(output).toContain(word);
    },
  );
});
