import { runAgent } from "@headroom/agent";

// The agent program as a process of its own, for tests that kill it.
try {
  process.exit(await runAgent());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
