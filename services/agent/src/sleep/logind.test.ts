import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createDeferred, silentLogger, systemPorts, type Ports, type Timers } from "@headroom/runtime";
import { captureLogger, makeTempDir, type TempDir, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logindSleepSource } from "./logind.ts";
import type { SleepSource } from "./sleep-source.ts";

let dir: TempDir;
let source: SleepSource | undefined;
beforeEach(async () => {
  dir = await makeTempDir("logind");
});
afterEach(async () => {
  await source?.stop();
  source = undefined;
  await dir.remove();
});

// Real processes that stand for the tools: one prints what is written into a pipe, the other holds until its stdin ends.
describe.runIf(process.platform === "linux")("sleep as logind announces it", () => {
  const path = (name: string): string => join(dir.path, name);
  const tool = (name: string, script: string): void =>
    writeFileSync(path(name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const locks = async (): Promise<string> => readFile(path("locks"), "utf8").catch(() => "");
  const env = () => ({ PATH: [dir.path, process.env["PATH"]].join(delimiter) });

  function listen(given: Record<string, string | undefined>, ports: Ports = systemPorts, logger = silentLogger) {
    const heard: string[] = [];
    const goodbye = createDeferred();
    source = logindSleepSource({ ports, logger, env: given });
    source.start({
      announced() {
        heard.push("announced");
        return goodbye.promise;
      },
      back: () => void heard.push("back"),
    });
    return { heard, goodbye };
  }

  it("DESIGN-4: the machine waits for the goodbye, and is made to wait again when it is back", async () => {
    execFileSync("mkfifo", [path("bus")]);
    tool("gdbus", `exec cat ${path("bus")}`);
    tool("systemd-inhibit", `echo held >> ${path("locks")}; cat; echo released >> ${path("locks")}`);
    const { heard, goodbye } = listen(env());
    const bus = await open(path("bus"), "w");
    await waitFor(async () => (await locks()) === "held\n");
    await bus.write("/org/freedesktop/login1: org.freedesktop.login1.Manager.PrepareForSleep (true,)\n");
    await waitFor(() => heard.length === 1);
    expect(await locks()).toBe("held\n");
    goodbye.resolve();
    await waitFor(async () => (await locks()) === "held\nreleased\n");
    await bus.write("/org/freedesktop/login1: org.freedesktop.login1.Manager.PrepareForSleep (false,)\n");
    await waitFor(async () => (await locks()) === "held\nreleased\nheld\n");
    expect(heard).toEqual(["announced", "back"]);
    await source?.stop();
    await waitFor(async () => (await locks()).endsWith("held\nreleased\n"));
    await bus.close();
  });

  it("another tool is used where the first is missing or fails, also without a lock", async () => {
    execFileSync("mkfifo", [path("bus")]);
    tool("gdbus", "echo 'no bus' >&2; exit 1");
    tool("systemd-inhibit", "exit 1");
    tool("dbus-monitor", `exec cat ${path("bus")}`);
    const { heard, goodbye } = listen(env());
    goodbye.resolve();
    const bus = await open(path("bus"), "w");
    const signal = "signal time=1 sender=:1.4 path=/org/freedesktop/login1; interface=x; member=PrepareForSleep";
    await bus.write(`${signal}\n   boolean true\n${signal}\n   boolean false\n`);
    await waitFor(() => heard.length === 2);
    expect(heard).toEqual(["announced", "back"]);
    await bus.close();
  });

  /** Timers that a test calls; there are no others here. */
  function byHand() {
    const pending = new Set<() => void>();
    const timers: Timers = {
      after(_delayMs, fn) {
        const call = (): void => fn();
        pending.add(call);
        return { cancel: () => void pending.delete(call) };
      },
    };
    const pass = async (): Promise<void> => {
      await waitFor(() => pending.size > 0);
      for (const call of [...pending]) {
        pending.delete(call);
        call();
      }
    };
    return { ports: { ...systemPorts, timers }, pending, pass };
  }

  it("a lock that ended is taken again without a sleep between; that it was lost is said once, and that it is back", async () => {
    execFileSync("mkfifo", [path("bus")]);
    tool("gdbus", `exec cat ${path("bus")}`);
    // The lock is held for as long as nobody writes into `end`.
    execFileSync("mkfifo", [path("end")]);
    const holds = `head -n 1; echo held >> ${path("locks")}; read line < ${path("end")}`;
    tool("systemd-inhibit", holds);
    const { ports, pending, pass } = byHand();
    const logger = captureLogger();
    const said = (): string[] =>
      logger.records.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level}: ${message}`);
    const lost = "warn: the machine no longer waits for this agent when it sleeps; asking it again now and then";
    listen(env(), ports, logger);
    await waitFor(async () => (await locks()) === "held\n");
    expect(said()).toEqual([]);
    writeFileSync(path("end"), "\n");
    await waitFor(() => said().length === 1);
    tool("systemd-inhibit", "exit 1");
    await pass();
    await waitFor(() => pending.size === 1);
    expect(said()).toEqual([lost]);
    tool("systemd-inhibit", holds);
    await pass();
    await waitFor(() => said().length === 2);
    expect(said()).toEqual([lost, "info: the machine waits for this agent again when it sleeps"]);
    expect(await locks()).toBe("held\nheld\n");
    await source?.stop();
    expect(pending.size).toBe(0);
    writeFileSync(path("end"), "\n");
  });

  it("a start that throws is one that failed: it is tried again, and nobody is harmed", async () => {
    execFileSync("mkfifo", [path("bus")]);
    tool("gdbus", `exec cat ${path("bus")}`);
    tool("systemd-inhibit", `echo held >> ${path("locks")}; cat`);
    // More than the system takes for one variable (E2BIG).
    const given: Record<string, string> = { ...env(), HUGE: "x".repeat(200_000) };
    const { ports, pending, pass } = byHand();
    const logger = captureLogger();
    const { heard, goodbye } = listen(given, ports, logger);
    goodbye.resolve();
    // One for the monitors, one for the lock.
    await waitFor(() => pending.size === 2);
    await pass();
    await waitFor(() => pending.size === 2);
    given["HUGE"] = "";
    await pass();
    const bus = await open(path("bus"), "w");
    await bus.write("/org/freedesktop/login1: org.freedesktop.login1.Manager.PrepareForSleep (true,)\n");
    await waitFor(() => heard.length === 1);
    await waitFor(async () => (await locks()) === "held\n");
    expect(logger.records.filter(({ level }) => level !== "debug")).toEqual([]);
    await bus.close();
  });

  it("a machine without any of it is no error, and can be left at any moment", async () => {
    const { heard } = listen({ PATH: dir.path });
    await source?.stop();
    await source?.stop();
    expect(heard).toEqual([]);
  });
});
