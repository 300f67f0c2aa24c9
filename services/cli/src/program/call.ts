import type { ServiceName } from "@headroom/client";
import { type Command, Option } from "commander";
import { call, listMethods } from "../commands/call.ts";
import type { ProgramContext } from "../program.ts";

interface CallFlags {
  timeout?: string;
  to?: ServiceName;
}

/** `call` */
export function addCallCommands(program: Command, { run }: ProgramContext): void {
  program
    .command("call [method] [json]")
    .description(
      "call any method of the contract: SERVICE/METHOD and its request as JSON, `-` for stdin; alone: list them",
    )
    .option("--timeout <duration>", "deadline of the call (default 30s; none for streams)")
    .addOption(
      new Option("--to <service>", "which service is meant, for methods that both serve").choices([
        "registry",
        "orchestrator",
      ]),
    )
    .addHelpText(
      "after",
      `
Examples:
  headroom call CapacityService/ListAvailableCapacity '{"min_cpu_cores": 2}'
  headroom call PauseQueueService/CheckCapacity
  headroom call PlanService/WatchPlan '{"plan_id": "…"}'       one JSON object a line
  headroom call grpc.health.v1.Health/Check --to orchestrator`,
    )
    .action((method: string | undefined, json: string | undefined, flags: CallFlags) =>
      run(method === undefined ? listMethods() : call(method, json ?? "{}", flags)),
    );
}
