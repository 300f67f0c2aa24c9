import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createDeferred, silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, type TempDir, waitFor } from "@headroom/testing";
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

  function listen(given: Record<string, string | undefined>) {
    const heard: string[] = [];
    const goodbye = createDeferred();
    source = logindSleepSource({ ports: systemPorts, logger: silentLogger, env: given });
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
    tool("systemd-inhibit", `echo held >> ${path("locks")}; cat > /dev/null; echo released >> ${path("locks")}`);
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

  it("a machine without any of it is no error, and can be left at any moment", async () => {
    const { heard } = listen({ PATH: dir.path });
    await source?.stop();
    await source?.stop();
    expect(heard).toEqual([]);
  });
});
