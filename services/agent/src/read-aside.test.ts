import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeTempDir, spawnScript } from "@headroom/testing";
import { expect, it } from "vitest";

// Windows has no such pipes.
it.skipIf(process.platform === "win32")("DESIGN-6: a reading that hangs keeps no program from its end", async () => {
  const dir = await makeTempDir("read-aside");
  const pipe = join(dir.path, "pipe");
  execFileSync("mkfifo", [pipe]);
  const script = await spawnScript(fileURLToPath(new URL("./read-aside.test-helper.ts", import.meta.url)), {
    args: [pipe],
  });
  expect(await script.ended()).toBe("SIGTERM");
  await dir.remove();
});
