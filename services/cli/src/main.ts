import { flushOutput, processIo } from "./process-io.ts";
import { runCli } from "./run-cli.ts";

const code = await runCli(process.argv.slice(2), processIo());
await flushOutput();
process.exit(code);
