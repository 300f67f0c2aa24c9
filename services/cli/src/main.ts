import { endProcess } from "@headroom/runtime";
import { flushOutput, processIo } from "./process-io.ts";
import { runCli } from "./run-cli.ts";

const code = await runCli(process.argv.slice(2), processIo());
await flushOutput();
await endProcess(code);
