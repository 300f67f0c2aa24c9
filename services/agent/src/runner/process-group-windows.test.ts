import { readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { makeTempDir, waitFor } from "@headroom/testing";
import { afterEach, expect, it } from "vitest";
import { windowsProcessTable } from "../processes/windows-table.ts";
import { ProcessGroup } from "./process-group.ts";

const path = process.env["PATH"];
afterEach(() => void (process.env["PATH"] = path));

it.skipIf(process.platform === "win32").each(["SIGTERM", "SIGKILL"] as const)(
  "on Windows a %s ends the tree: a console program refuses to be asked, and would have its whole grace for nothing",
  async (signal) => {
    const dir = await makeTempDir("taskkill");
    const told = join(dir.path, "told");
    await writeFile(join(dir.path, "taskkill"), `#!/bin/sh\necho "$@" > "${told}"\n`, { mode: 0o755 });
    process.env["PATH"] = `${dir.path}${delimiter}${path}`;
    const processes = windowsProcessTable(() => Promise.resolve(null));
    new ProcessGroup({ groupId: 4_711, attemptId: "a", processes, platform: "win32" }).signal(signal);
    const read = (): Promise<string> => readFile(told, "utf8").catch(() => "");
    await waitFor(async () => (await read()).endsWith("\n"));
    expect(await read()).toBe("/PID 4711 /T /F\n");
    await dir.remove();
  },
);
