import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runScript, temporaryFolder } from "./bundled-process.test-helper.ts";
import { RotatingFile } from "./log-file.ts";
import { createLogger, silentLogger, type Logger } from "./index.ts";

function records(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function collecting(): { lines: string[]; write(line: string): void } {
  const lines: string[] = [];
  return { lines, write: (line) => void lines.push(line) };
}

describe("createLogger", () => {
  it("R-PAUSE-10: writes JSON lines with level, ISO time, service and the correlation fields", async () => {
    const file = join(await temporaryFolder(), "logs", "registry.log");
    const logger = createLogger({
      name: "registry",
      level: "info",
      file,
      clock: { now: () => 1_700_000_000_123, monotonic: () => 0 },
    });
    logger
      .child({ plan_id: "p1" })
      .child({ task_id: "t1" })
      .info({ attempt_id: "a1", count: 3 }, "resumed 1, 2 still waiting");
    logger.debug("not written");
    logger.warn("100 %% of %s is %d %o");
    logger.close();
    expect(records(readFileSync(file, "utf8"))).toEqual([
      {
        level: "info",
        time: "2023-11-14T22:13:20.123Z",
        service: "registry",
        plan_id: "p1",
        task_id: "t1",
        attempt_id: "a1",
        count: 3,
        msg: "resumed 1, 2 still waiting",
      },
      { level: "warn", time: "2023-11-14T22:13:20.123Z", service: "registry", msg: "100 %% of %s is %d %o" },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, "..")).mode & 0o777).toBe(0o700);
  });

  it("hides authorization, token and env, in children, fields, errors and messages", async () => {
    const file = join(await temporaryFolder(), "a.log");
    const logger: Logger = createLogger({ name: "agent", file });
    logger
      .child({ token: "SECRET1" })
      .info(
        { request: { metadata: { authorization: "SECRET2" } }, task: { env: { KEY: "SECRET3" } } },
        "Bearer SECRET4",
      );
    logger.error({ err: Object.assign(new Error("postgres://u:SECRET5@h/d"), { token: "SECRET6" }) }, "failed");
    const text = readFileSync(file, "utf8");
    expect(text).not.toContain("SECRET");
    expect(records(text)).toMatchObject([
      {
        token: "[redacted]",
        request: { metadata: { authorization: "[redacted]" } },
        task: { env: "[redacted]" },
        msg: "Bearer [redacted]",
      },
      {
        err: {
          type: "Error",
          message: "postgres://u:[redacted]@h/d",
          stack: expect.stringContaining("logger.test"),
          token: "[redacted]",
        },
      },
    ]);
  });

  it("writes to stderr too when told, from its own level up, short for people if wanted", async () => {
    const sink = collecting();
    const file = join(await temporaryFolder(), "a.log");
    const logger = createLogger({ name: "up", level: "debug", file, stderr: "warn", pretty: true, stderrSink: sink });
    logger.debug("quiet");
    logger.warn({ agent_id: "x", n: [1] }, "look");
    logger.error({ err: new Error("boom") }, "bad");
    logger.close();
    expect(records(readFileSync(file, "utf8")).map((record) => record["level"])).toEqual(["debug", "warn", "error"]);
    expect(sink.lines).toHaveLength(2);
    expect(sink.lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN  up  look agent_id=x n=\[1\]\n$/);
    expect(sink.lines[1]).toMatch(/ERROR up  bad\n    Error: boom\n    {5}at /);
  });

  it("in pretty lines an error that was to be expected is one line, and no control character comes through", () => {
    const sink = collecting();
    const logger = createLogger({ name: "agent", pretty: true, stderr: "info", stderrSink: sink });
    const away = Object.assign(new Error("nothing answers at 127.0.0.1:9"), { code: "UNAVAILABLE" });
    away.name = "HeadroomError";
    logger.info({ err: away, failures: 1 }, "the stream ended");
    logger.warn({ err: Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }) }, "the database is away");
    const fault = Object.assign(new Error("a fault"), { code: "INTERNAL" });
    fault.name = "HeadroomError";
    logger.error({ err: fault }, "bad");
    logger.info({ text: "\u001B[2J\u009B" }, "from\nelsewhere \u0007");
    expect(sink.lines[0]).toMatch(/INFO {2}agent {2}the stream ended: nothing answers at 127.0.0.1:9 failures=1\n$/);
    expect(sink.lines[1]).toMatch(/WARN {2}agent {2}the database is away: ECONNREFUSED\n$/);
    expect(sink.lines[2]).toMatch(/bad\n {4}HeadroomError: a fault\n +at /);
    expect(sink.lines[3]).toMatch(/INFO {2}agent {2}from elsewhere \\u0007 text=\\u001b\[2J\uFFFD\n$/);
  });

  it("without a file it writes JSON to stderr; the silent one to nowhere", () => {
    const sink = collecting();
    createLogger({ name: "cli", stderrSink: sink }).info("hello");
    expect(records(sink.lines.join(""))).toMatchObject([{ service: "cli", msg: "hello" }]);
    silentLogger.child({ plan_id: "x" }).error({ err: 1 }, "nothing");
  });

  it("a file that cannot be opened is told at once", async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, "plain"), "");
    expect(() => createLogger({ name: "x", file: join(folder, "plain", "a.log") })).toThrow(/ENOTDIR|EEXIST/);
    expect(() => createLogger({ name: "x", file: join(folder, "a.log"), maxFileMb: 0 })).toThrow(RangeError);
  });

  it("bundled into one file, a kill -9 right after a record loses none, rotation included", async () => {
    const file = join(await temporaryFolder(), "killed.log");
    const script = await runScript(`
      import { createLogger } from "./index.ts";
      const logger = createLogger({ name: "victim", file: ${JSON.stringify(file)}, maxFileMb: 0.01, maxFiles: 100 });
      for (let n = 0; n < 500; n += 1) logger.info({ n }, "record");
      process.kill(process.pid, "SIGKILL");
    `);
    expect(await script.ended).toEqual({ code: null, signal: "SIGKILL" });
    expect(script.stderr()).toBe("");
    const folder = join(file, "..");
    const numbers = readdirSync(folder).flatMap((name) =>
      records(readFileSync(join(folder, name), "utf8")).map((record) => record["n"]),
    );
    expect(numbers).toHaveLength(500);
    expect(new Set(numbers).size).toBe(500);
  });

  it("records made together are written when all are there, whole, and also if making them fails", async () => {
    const file = join(await temporaryFolder(), "together.log");
    const logger = createLogger({ name: "x", file, maxFileMb: 0.5, maxFiles: 2 });
    const child = logger.child({ plan_id: "p" });
    const numbers = (): unknown[] => records(readFileSync(file, "utf8")).map((record) => record["n"]);
    expect(() =>
      logger.together(() => {
        child.info({ n: 1 }, "first");
        logger.together(() => logger.info({ n: 2 }, "inner"));
        expect(numbers()).toEqual([]);
        throw new Error("unlucky");
      }),
    ).toThrow("unlucky");
    expect(numbers()).toEqual([1, 2]);
    logger.info({ n: 3 }, "alone");
    expect(numbers()).toEqual([1, 2, 3]);
    // More than one piece holds, and more than one file.
    logger.together(() => {
      for (let n = 4; n <= 3_000; n += 1) logger.info({ n, text: "x".repeat(100) }, "many");
    });
    const older = records(readFileSync(file.replace(".log", ".1.log"), "utf8")).map((record) => record["n"]);
    expect([...older, ...numbers()]).toEqual(Array.from({ length: 3_000 }, (_, index) => index + 1));
    expect(logger.droppedLines()).toBe(0);
    logger.close();
  });

  it("the process lives on when whoever read its stderr is gone", async () => {
    const script = await runScript(`
      import { createLogger } from "./index.ts";
      const logger = createLogger({ name: "orphan" });
      logger.info("first");
      const timer = setInterval(() => logger.info("more"), 1);
      process.stdin.on("error", () => undefined);
      process.stderr.once("close", () => { clearInterval(timer); process.stdout.write("alive"); });
    `);
    script.child.stderr?.once("data", () => script.child.stderr?.destroy());
    expect((await script.ended).code).toBe(0);
    expect(script.stdout()).toBe("alive");
  });
});

const sizeOf = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

describe("RotatingFile", () => {
  it("never takes more than maxFileBytes × maxFiles, and keeps the newest lines", async () => {
    const folder = await temporaryFolder();
    const file = new RotatingFile({ file: join(folder, "a.log"), maxFileBytes: 1_000, maxFiles: 3 });
    for (let line = 0; line < 1_000; line += 1) {
      file.write(`${String(line).padStart(99, "0")}\n`);
      expect(sizeOf(folder)).toBeLessThanOrEqual(3_000);
    }
    file.close();
    expect(readdirSync(folder).sort()).toEqual(["a.1.log", "a.2.log", "a.log"]);
    const kept = ["a.2.log", "a.1.log", "a.log"].flatMap((name) =>
      readFileSync(join(folder, name), "utf8").trim().split("\n").map(Number),
    );
    expect(kept).toEqual(Array.from({ length: 30 }, (_, index) => 970 + index));
  });

  it("goes on where the last run stopped, with one file too, and removes what a smaller bound leaves over", async () => {
    const folder = await temporaryFolder();
    for (const name of ["a.1.log", "a.2.log", "a.7.log", "a.notes.log", "b.9.log"])
      writeFileSync(join(folder, name), "old");
    writeFileSync(join(folder, "a.log"), "x".repeat(90));
    const file = new RotatingFile({ file: join(folder, "a.log"), maxFileBytes: 100, maxFiles: 2 });
    expect(readdirSync(folder).sort()).toEqual(["a.1.log", "a.log", "a.notes.log", "b.9.log"]);
    file.write("new line 12\n");
    expect(readFileSync(join(folder, "a.log"), "utf8")).toBe("new line 12\n");
    expect(readFileSync(join(folder, "a.1.log"), "utf8")).toBe("x".repeat(90));
    file.close();

    const single = new RotatingFile({ file: join(folder, "s"), maxFileBytes: 10, maxFiles: 1 });
    for (const line of ["12345678\n", "abcdefgh\n"]) single.write(line);
    expect(readFileSync(join(folder, "s"), "utf8")).toBe("abcdefgh\n");
    single.close();
  });

  it("two writers of one log rotate it without losing the bound", async () => {
    const folder = await temporaryFolder();
    const options = { file: join(folder, "a.log"), maxFileBytes: 1_000, maxFiles: 3 };
    const writers = [new RotatingFile(options), new RotatingFile(options)];
    for (let line = 0; line < 500; line += 1) writers[line % 2]?.write(`${"y".repeat(99)}\n`);
    // Each may fill a file up to its own count of it.
    expect(sizeOf(folder)).toBeLessThanOrEqual(6_000);
    for (const writer of writers) writer.close();
  });

  it("never throws: a line too large, a closed file are counted; a folder that was removed comes back", async () => {
    const folder = join(await temporaryFolder(), "gone");
    const file = new RotatingFile({ file: join(folder, "a.log"), maxFileBytes: 100, maxFiles: 2 });
    file.write("z".repeat(101));
    expect(file.droppedLines).toBe(1);
    file.write("small\n");
    rmSync(folder, { recursive: true });
    for (let line = 0; line < 50; line += 1) file.write("12345678\n");
    expect(existsSync(join(folder, "a.log"))).toBe(true);
    file.close();
    file.close();
    const before = file.droppedLines;
    file.write("late\n");
    expect(file.droppedLines).toBe(before + 1);
  });
});
