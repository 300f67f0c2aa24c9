import { EventEmitter } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { runScript } from "./bundled-process.test-helper.ts";
import { manualPorts, settle } from "./manual-ports.test-helper.ts";
import {
  createDeferred,
  createMetrics,
  lifecycle,
  runUntilSignal,
  signalEchoMs,
  type LogFields,
  type Logger,
  type LifecycleOptions,
} from "./index.ts";

function collectingLogger(lines: string[]): Logger {
  const method = (level: string) => (fields: LogFields | string, message?: string) => {
    const error = typeof fields === "object" && fields.err instanceof Error ? ` (${fields.err.message})` : "";
    lines.push(`${level} ${typeof fields === "string" ? fields : (message ?? "")}${error}`);
  };
  const logger: Logger = {
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    child: () => logger,
    together: (write) => write(),
  };
  return logger;
}

function scene(hooks: Partial<LifecycleOptions> = {}, until?: AbortSignal) {
  const log: string[] = [];
  const exits: number[] = [];
  const target = Object.assign(new EventEmitter(), { exit: (code: number) => void exits.push(code) });
  const ports = manualPorts();
  const metrics = createMetrics({ processMetrics: false });
  const service = lifecycle({
    name: "service",
    start: () => void log.push("start"),
    stop: (reason) => void log.push(`stop ${reason}`),
    ...hooks,
  });
  const ended = runUntilSignal(service, {
    logger: collectingLogger(log),
    ports,
    process: target,
    metrics,
    ...(until === undefined ? {} : { until }),
  });
  return { log, exits, target, ports, metrics, service, ended };
}

/** A real program around `body`, which runs as its service starts. */
const program = (body: string): string => `
  import { createLogger, lifecycle, runUntilSignal, systemPorts } from "./index.ts";
  const logger = createLogger({ name: "real" });
  const service = lifecycle({
    name: "real",
    start: () => { ${body}; setTimeout(() => process.stdout.write("up"), 20); },
    stop: () => void process.stdout.write(" down"),
  });
  process.exit(await runUntilSignal(service, { logger, ports: systemPorts }));`;

describe("runUntilSignal", () => {
  it("a signal stops gracefully, with exit code 0, and no listener stays", async () => {
    const { log, target, exits, ended, ports } = scene();
    await settle();
    target.emit("SIGTERM");
    expect(await ended).toBe(0);
    expect(log).toEqual(["start", "info stopping", "stop SIGTERM", "info stopped"]);
    expect(exits).toEqual([]);
    expect(target.eventNames()).toEqual([]);
    expect(ports.pending()).toEqual([]);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s again is an echo for a second, and exits at once after it", async (signal, code) => {
    const gate = createDeferred();
    const { log, target, exits, ended, ports } = scene({ stop: () => gate.promise });
    await settle();
    target.emit(signal);
    target.emit(signal);
    await ports.advance(signalEchoMs);
    target.emit(signal);
    expect(exits).toEqual([]);
    expect(log).toEqual(["start", "info stopping"]);
    await ports.advance(1);
    target.emit(signal);
    expect(exits).toEqual([code]);
    gate.resolve();
    expect(await ended).toBe(0);
  });

  it("another signal exits at once, but for a hangup: a session that ends sends SIGTERM and SIGHUP together", async () => {
    const gate = createDeferred();
    const { target, exits, ended } = scene({ stop: () => gate.promise });
    await settle();
    target.emit("SIGTERM");
    target.emit("SIGHUP");
    expect(exits).toEqual([]);
    target.emit("SIGINT");
    expect(exits).toEqual([130]);
    gate.resolve();
    await ended;
  });

  it("a stop that takes longer than 25 s, or fails, gives 1", async () => {
    const slow = scene({ stop: () => new Promise(() => undefined) });
    await settle();
    slow.target.emit("SIGTERM");
    await slow.ports.advance(24_999);
    expect(slow.log).not.toContainEqual(expect.stringContaining("error"));
    await slow.ports.advance(1);
    expect(await slow.ended).toBe(1);
    expect(slow.log.at(-1)).toBe("error the stop failed (the stop took longer than 25 s and was given up)");

    const broken = scene({ stop: () => Promise.reject(new Error("stuck")) });
    await settle();
    broken.target.emit("SIGTERM");
    expect(await broken.ended).toBe(1);
  });

  it("a start that fails rejects with its error; a signal during the start cuts it short", async () => {
    const failing = scene({ start: () => Promise.reject(new Error("port taken")) });
    await expect(failing.ended).rejects.toThrow("port taken");
    expect(failing.target.eventNames()).toEqual([]);

    const waiting = scene({
      start: (signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
    });
    await settle();
    waiting.target.emit("SIGINT");
    expect(await waiting.ended).toBe(0);
    expect(waiting.service.state()).toBe("stopped");
  });

  it("R-PAUSE-9: an unhandled rejection is logged and counted, and the process lives", async () => {
    const { log, target, metrics, ended } = scene();
    await settle();
    target.emit("unhandledRejection", new Error("nobody heard"));
    await settle();
    expect(log).toEqual(["start", "error unhandled rejection (nobody heard)"]);
    expect((await metrics.render()).body).toContain("process_unhandled_rejections_total 1");
    target.emit("SIGTERM");
    expect(await ended).toBe(0);
  });

  it("an uncaught exception stops and gives 1; another one meanwhile exits at once", async () => {
    const gate = createDeferred();
    const { log, target, exits, ended } = scene({ stop: () => gate.promise });
    await settle();
    target.emit("uncaughtException", new Error("bug"));
    expect(log).toContain("error uncaught exception: stopping (bug)");
    target.emit("uncaughtException", new Error("bug"));
    expect(exits).toEqual([1]);
    gate.resolve();
    expect(await ended).toBe(1);
  });

  it("an abort of `until` ends it too", async () => {
    const abort = new AbortController();
    const { ended } = scene({}, abort.signal);
    await settle();
    abort.abort();
    expect(await ended).toBe(0);
    const aborted = scene({}, abort.signal);
    expect(await aborted.ended).toBe(0);
  });

  it("in a real process: a rejection is survived, SIGTERM stops it with 0, an exception with 1", async () => {
    const polite = await runScript(program(`void Promise.reject(new Error("nobody heard"))`));
    await vi.waitFor(() => expect(polite.stdout()).toBe("up"), { timeout: 20_000 });
    polite.child.kill("SIGTERM");
    expect(await polite.ended).toEqual({ code: 0, signal: null });
    expect(polite.stdout()).toBe("up down");
    expect(polite.stderr()).toMatch(/nobody heard.*\\n +at /);

    const broken = await runScript(program(`setTimeout(() => { throw new Error("bug"); }, 40)`));
    expect(await broken.ended).toEqual({ code: 1, signal: null });
    expect(broken.stderr()).toContain("uncaught exception: stopping");
    expect(broken.stdout()).toBe("up down");
  });
});
