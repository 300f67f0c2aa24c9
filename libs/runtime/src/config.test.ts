import * as fc from "fast-check";
import { homedir } from "node:os";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  ConfigError,
  configHelp,
  defineConfig,
  describeConfig,
  describeOptions,
  formatHostPort,
  loadConfig,
  loadConfigOrThrow,
  option,
  type HostPort,
} from "./index.ts";

const schema = defineConfig({
  threshold: option.fraction({
    env: "PAUSE_CAPACITY_THRESHOLD_PERCENT",
    flag: "pause-capacity-threshold-percent",
    default: 0.2,
    help: "Work pauses when every online agent has less than this fraction free.",
  }),
  pollingIntervalMs: option.seconds({
    env: "PAUSE_POLLING_INTERVAL_SECONDS",
    flag: "polling",
    default: 10,
    min: 0.1,
    max: 3_600,
    help: "How often the queue is looked at.",
  }),
  databaseUrl: option.url({
    env: "DATABASE_URL",
    flag: "database-url",
    default: null,
    protocols: ["postgres", "postgresql"],
    example: "postgres://user:password@host:5432/headroom",
    help: "A PostgreSQL.",
  }),
  address: option.hostPort({
    env: "HEADROOM_ADDRESS",
    flag: "address",
    default: "127.0.0.1:7401",
    help: "Where gRPC listens.",
  }),
  connections: option.int({
    env: "CONNECTIONS",
    flag: "connections",
    default: 10,
    min: 1,
    max: 500,
    help: "Connections.",
  }),
  pretty: option.boolean({ env: "PRETTY", flag: "pretty", default: false, help: "Pretty." }),
  gpus: option.list({ env: "GPUS", flag: "gpu", default: "", maxItems: 3, help: "GPUs." }),
  dataDir: option.path({ env: "DATA_DIR", flag: "data-dir", default: null, help: "Data." }),
  level: option.oneOf(["debug", "info"], { env: "LEVEL", flag: "level", default: "info", help: "Level." }),
  token: option.string({ env: "TOKEN", default: null, secret: true, help: "Token.", maxLength: 20 }),
});

function load(env: Record<string, string>, flags: Record<string, unknown> = {}) {
  return loadConfig(schema, { env, flags });
}

function problemOf(env: Record<string, string>, flags: Record<string, unknown> = {}) {
  const result = load(env, flags);
  if (result.kind !== "invalid") throw new Error("it was accepted");
  expect(result.problems).toHaveLength(1);
  return result.problems[0]!;
}

function valuesOf(env: Record<string, string>, flags: Record<string, unknown> = {}) {
  return loadConfigOrThrow(schema, { env, flags }).values;
}

describe("loadConfig", () => {
  it("R-PAUSE-1: PAUSE_CAPACITY_THRESHOLD_PERCENT defaults to 0.2, and 20 is answered with how to write it", () => {
    expect(valuesOf({}).threshold).toBe(0.2);
    expect(valuesOf({ PAUSE_CAPACITY_THRESHOLD_PERCENT: "0.35" }).threshold).toBe(0.35);
    for (const [text, value] of [
      ["0", 0],
      ["1", 1],
      [".5", 0.5],
      ["5e-1", 0.5],
    ] as const) {
      expect(valuesOf({ PAUSE_CAPACITY_THRESHOLD_PERCENT: text }).threshold).toBe(value);
    }
    expect(problemOf({ PAUSE_CAPACITY_THRESHOLD_PERCENT: "20" }).message).toBe(
      'PAUSE_CAPACITY_THRESHOLD_PERCENT (--pause-capacity-threshold-percent): "20" is not a fraction from 0 to 1; write 0.2 for 20 %',
    );
    expect(problemOf({ PAUSE_CAPACITY_THRESHOLD_PERCENT: "35%" }).example).toBe("write 0.35 for 35 %");
    for (const text of ["-0.1", "1.01", "nan", "Infinity", "0,2", "0x1", "abc", "1e400"]) {
      expect(problemOf({ PAUSE_CAPACITY_THRESHOLD_PERCENT: text }).example).toMatch(/^write 0\.\d+ for \d+(\.\d+)? %$/);
    }
  });

  it("R-PAUSE-1: accepts every fraction and nothing outside 0..1", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        expect(load({ PAUSE_CAPACITY_THRESHOLD_PERCENT: String(value) }).kind).toBe(
          value >= 0 && value <= 1 ? "ok" : "invalid",
        );
      }),
    );
  });

  it("a long row of digits that is no number is refused at once", () => {
    const begunMs = performance.now();
    expect(option.number({ env: "X", min: 0, max: 1, help: "" }).parse(`${"1".repeat(100_000)}x`).kind).toBe("invalid");
    expect(performance.now() - begunMs).toBeLessThan(1_000);
  });

  it("R-PAUSE-7: PAUSE_POLLING_INTERVAL_SECONDS is written in seconds, default 10, and read in milliseconds", () => {
    expect(valuesOf({}).pollingIntervalMs).toBe(10_000);
    expect(valuesOf({ PAUSE_POLLING_INTERVAL_SECONDS: "0.5" }).pollingIntervalMs).toBe(500);
    const problem = problemOf({ PAUSE_POLLING_INTERVAL_SECONDS: "0" });
    expect(problem.message).toBe(
      'PAUSE_POLLING_INTERVAL_SECONDS (--polling): "0" is out of range; allowed: a number of seconds from 0.1 to 3600; write 10',
    );
  });

  it("a flag wins over the environment, and that over the default; an empty variable is not set", () => {
    const loaded = loadConfigOrThrow(schema, {
      env: { CONNECTIONS: "20", LEVEL: "debug", PRETTY: "" },
      flags: { connections: 30 },
    });
    expect(loaded.values).toMatchObject({ connections: 30, level: "debug", pretty: false, databaseUrl: null });
    expect(loaded.sources).toMatchObject({ connections: "flag", level: "env", pretty: "default" });
  });

  it("reads every kind, also as a command-line parser gives it", () => {
    const values = valuesOf(
      { HEADROOM_ADDRESS: "[::1]:0", DATA_DIR: "~/data" },
      { pretty: true, gpu: ["a", "b"], level: "DEBUG", connections: "5" },
    );
    expect(values).toMatchObject({
      address: { host: "::1", port: 0 },
      pretty: true,
      gpus: ["a", "b"],
      level: "debug",
      connections: 5,
    });
    expect(values.dataDir).toBe(`${homedir()}/data`);
    expect(valuesOf({ GPUS: " a, ,b ," }).gpus).toEqual(["a", "b"]);
    expect(valuesOf({}).gpus).toEqual([]);
    expect(valuesOf({ PRETTY: "Yes" }, {}).pretty).toBe(true);
    expect(valuesOf({ PRETTY: "1" }, { pretty: false }).pretty).toBe(false);
    expect(formatHostPort(values.address)).toBe("[::1]:0");
    expectTypeOf(values.address).toEqualTypeOf<HostPort>();
    expectTypeOf(values.databaseUrl).toEqualTypeOf<string | null>();
    expectTypeOf(values.level).toEqualTypeOf<"debug" | "info">();
  });

  it.each([
    ["CONNECTIONS", "501", "connections"],
    ["CONNECTIONS", "1.5", "connections"],
    ["CONNECTIONS", "9007199254740993", "connections"],
    ["CONNECTIONS", "ten", "connections"],
    ["DATABASE_URL", "mysql://h/db", "database-url"],
    ["DATABASE_URL", "localhost", "database-url"],
    ["HEADROOM_ADDRESS", "127.0.0.1", "address"],
    ["HEADROOM_ADDRESS", ":7401", "address"],
    ["HEADROOM_ADDRESS", "localhost:99999", "address"],
    ["HEADROOM_ADDRESS", "::1:7401", "address"],
    ["PRETTY", "perhaps", "pretty"],
    ["GPUS", "a,b,c,d", "gpu"],
    ["DATA_DIR", "a\0b", "data-dir"],
    ["LEVEL", "loud", "level"],
  ])("%s=%j is refused, naming variable, flag, value, range and an example", (env, text, flag) => {
    const problem = problemOf({ [env]: text });
    expect(problem).toMatchObject({ env, flag, given: text });
    for (const part of [env, `--${flag}`, JSON.stringify(text), problem.allowed, "write "])
      expect(problem.message).toContain(part);
    expect(problemOf({}, { [flag]: text }).message).toBe(problem.message);
  });

  it("an empty flag is a value, and refused", () => {
    expect(problemOf({}, { "data-dir": "" }).message).toContain("is empty");
    expect(problemOf({}, { connections: "" }).message).toContain("whole number");
  });

  it("tells all problems at once, in a ConfigError with a line for each", () => {
    const env = { CONNECTIONS: "0", LEVEL: "x" };
    expect(() => loadConfigOrThrow(schema, { env })).toThrow(ConfigError);
    expect(() => loadConfigOrThrow(schema, { env })).toThrow(
      /^2 settings are wrong:\n  - CONNECTIONS .*\n  - LEVEL .*$/,
    );
  });

  it("an option without a default is required", () => {
    const strict = defineConfig({ id: option.string({ env: "ID", flag: "id", help: "Id." }) });
    const result = loadConfig(strict, { env: {} });
    expect(result).toMatchObject({ kind: "invalid", problems: [{ given: null }] });
    expect(() => loadConfigOrThrow(strict, { env: {} })).toThrow(
      "ID (--id) is required: a text of 1 to 4096 characters; set ID=TEXT or --id TEXT",
    );
    expect(loadConfigOrThrow(strict, { env: { ID: "x" } }).values.id).toBe("x");
  });

  it("secrets and passwords appear in no error", () => {
    const secret = problemOf({ TOKEN: "s3cret-that-is-far-too-long" });
    expect(secret.given).toBeNull();
    expect(JSON.stringify(secret)).not.toContain("s3cret");
    expect(JSON.stringify(problemOf({ DATABASE_URL: "postgre://me:hunter2@h/db" }))).not.toContain("hunter2");
  });
});

describe("descriptions", () => {
  it("describeConfig says what is in force and from where, with secrets hidden", () => {
    const loaded = loadConfigOrThrow(schema, { env: { TOKEN: "s3cret", DATABASE_URL: "postgres://me:hunter2@h/db" } });
    const described = describeConfig(schema, loaded);
    expect(described).toContainEqual({
      setting: "token",
      variable: "TOKEN",
      flag: undefined,
      value: "[redacted]",
      source: "env",
    });
    expect(described).toContainEqual({
      setting: "databaseUrl",
      variable: "DATABASE_URL",
      flag: "database-url",
      value: "postgres://me:[redacted]@h/db",
      source: "env",
    });
    expect(described).toContainEqual({
      setting: "pollingIntervalMs",
      variable: "PAUSE_POLLING_INTERVAL_SECONDS",
      flag: "polling",
      value: "10",
      source: "default",
    });
    expect(described).toContainEqual({
      setting: "dataDir",
      variable: "DATA_DIR",
      flag: "data-dir",
      value: "",
      source: "default",
    });
  });

  it("the help names flag, variable, range and default", () => {
    expect(configHelp(schema)).toContain(
      "  --connections N\n      Connections. (CONNECTIONS; a whole number from 1 to 500; default 10)",
    );
    expect(configHelp(schema)).toContain("  TOKEN=TEXT\n      Token. (TOKEN; a text of 1 to 20 characters; optional)");
    expect(describeOptions(schema)).toHaveLength(10);
  });

  it("a schema with a name twice or a default that is wrong is refused", () => {
    const one = option.boolean({ env: "A", default: true, help: "" });
    expect(() => defineConfig({ one, two: one })).toThrow("A is used twice");
    expect(() => defineConfig({ one: option.int({ env: "N", default: 9, min: 0, max: 5, help: "" }) })).toThrow(
      "default",
    );
  });
});
