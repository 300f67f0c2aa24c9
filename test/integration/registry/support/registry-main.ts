/** The registry program as a process of its own, for tests that stop and kill it. */
import { runRegistry } from "@headroom/registry";

try {
  process.exitCode = await runRegistry({
    onReady: ({ grpcAddress }) => void process.stdout.write(`ready ${JSON.stringify(grpcAddress)}\n`),
  });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
