import { configHelp } from "@headroom/runtime";
import type { Command } from "commander";
import { runUp } from "../commands/up.ts";
import type { ProgramContext } from "../program.ts";
import { refuseTlsOptions } from "../tls-settings.ts";
import { upOptions } from "../up/settings.ts";

/** `up` */
export function addUpCommand(program: Command, { io, globals, setExitCode }: ProgramContext): void {
  const command = program
    .command("up")
    .description("run everything on this machine: PostgreSQL, registry, orchestrator and an agent; Ctrl-C stops it")
    .option("--database-url <url>", "use this PostgreSQL in place of an own one (DATABASE_URL)")
    .addHelpText(
      "after",
      `
Settings:
${configHelp(upOptions)}
  Every setting of the parts works by its environment variable, but for HEADROOM_REGISTRY_ADDR and
  HEADROOM_ORCHESTRATOR_ADDR: the parts are connected with each other. headroom registry --help, headroom orchestrator
  --help and headroom agent --help list them. The four addresses: HEADROOM_REGISTRY_GRPC_ADDR, HEADROOM_REGISTRY_HTTP_ADDR,
  HEADROOM_ORCHESTRATOR_GRPC_ADDR, HEADROOM_ORCHESTRATOR_HTTP_ADDR; port 0 takes any free one.`,
    );
  command.action(async (options: { databaseUrl?: string }) => {
    const { dataDir, tokenFile, output, ...others } = globals();
    refuseTlsOptions("up", others, new Set());
    const flags = { "data-dir": dataDir, "token-file": tokenFile, "database-url": options.databaseUrl };
    setExitCode(await runUp(io, flags, output === "json"));
  });
}
