import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir } from "@headroom/testing";
import { expect, it } from "vitest";
import { agentHome } from "./home.ts";

/** Deeper than a path can be long: neither root nor anybody else removes it by its path. */
const stuckScript = `n=$(printf 'd%.0s' $(seq 200)); for i in $(seq 30); do mkdir "$n" && cd -P "$n" || exit 1; done`;

it.skipIf(process.platform === "win32")(
  "a working folder that cannot be removed keeps no agent from starting, and stays alone",
  async () => {
    const dir = await makeTempDir("home leftovers");
    const [stuck, other] = ["attempt-a", "attempt-b"].map((name) => join(dir.path, "work", name)) as [string, string];
    for (const path of [stuck, other]) mkdirSync(path, { recursive: true });
    try {
      execFileSync("sh", ["-c", stuckScript], { cwd: stuck });
      for (let start = 1; start <= 2; start += 1) {
        const logger = captureLogger();
        const home = agentHome(dir.path, systemPorts);
        expect((await home.open(logger)).starts).toBe(start);
        await home.close();
        expect(logger.records).toMatchObject([{ level: "warn", fields: { path: stuck } }]);
        expect([existsSync(stuck), existsSync(other)]).toEqual([true, false]);
      }
    } finally {
      execFileSync("rm", ["-rf", stuck]);
      await dir.remove();
    }
  },
);
