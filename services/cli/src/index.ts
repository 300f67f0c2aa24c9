/** The command `headroom`; its process is main.ts. */
export { runCli } from "./run-cli.ts";
export type { CliIo, Output } from "./io.ts";
