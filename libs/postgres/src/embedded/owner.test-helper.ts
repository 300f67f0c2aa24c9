// A program that owns an embedded PostgreSQL, for tests that kill it: prints what became of it, then waits.
// The whole library, so that it is proven to load outside the test runner too.
import { startEmbedded } from "../index.ts";
import { createLogger } from "@headroom/runtime";

const [dataDir = "", programsDir = ""] = process.argv.slice(2);
try {
  const server = await startEmbedded({
    dataDir,
    programsDir,
    logger: createLogger({ name: "owner", stderr: true }),
  });
  console.log(`READY ${JSON.stringify({ url: server.connectionString, pid: server.pid(), adopted: server.adopted })}`);
  process.once("SIGTERM", () => {
    server.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
  // Keeps the process; the test ends it.
  setInterval(() => undefined, 1_000);
} catch (error) {
  const known = error instanceof Error ? error : new Error(String(error));
  console.log(`FAILED ${known.name}: ${known.message.replaceAll("\n", " ")}`);
  process.exit(3);
}
