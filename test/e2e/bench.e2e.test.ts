/** Benches as a person runs them, small: that they work, and that what they drive comes through. How fast is not asked here. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it, vi } from "vitest";

vi.setConfig({ testTimeout: 420_000 });

const root = join(import.meta.dirname, "../..");

/** The line of JSON with which a bench ends. */
async function bench(name: string): Promise<Readonly<Record<string, unknown>>> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(root, "scripts/bench.mjs"), name, "--quick", "--report"],
    { cwd: root, maxBuffer: 64 * 1_024 * 1_024 },
  );
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Readonly<Record<string, unknown>>;
}

it("DESIGN-4: a registry is killed under a thousand agents, and all of them come back", async () => {
  const figures = await bench("storm");
  expect(figures).toMatchObject({ bench: "storm", agents: 1_000, quick: true });
  expect(figures["all_back_ms"]).toBeGreaterThan(0);
});

it("DESIGN-6: thousands of tasks wait, and each end of one is followed by the start of another", async () => {
  const figures = await bench("resume-latency");
  expect(figures).toMatchObject({ bench: "resume-latency", quick: true });
  expect(figures["value"]).toBeGreaterThan(0);
});
