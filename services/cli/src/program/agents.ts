import { type Command, Option } from "commander";
import {
  agentsConfirmLosses,
  agentsCordon,
  agentsGet,
  agentsList,
  type AgentsListOptions,
  agentsRemove,
  agentsUncordon,
} from "../commands/agents.ts";
import { agentsDrain, type AgentsDrainOptions } from "../commands/agents-drain.ts";
import {
  joinTokenCreate,
  type JoinTokenCreateOptions,
  joinTokenList,
  joinTokenRevoke,
} from "../commands/agents-token.ts";
import { exitCodeHelp } from "../exit-codes.ts";
import { duration, enumListOption, enumOption, wholeNumber } from "../options.ts";
import { wordsOf } from "../output/words.ts";
import { mostRows } from "../pages.ts";
import type { ProgramContext } from "../program.ts";

/** `agents …` */
export function addAgentCommands(program: Command, { run }: ProgramContext): void {
  const agents = program
    .command("agents")
    .description("the fleet: list, get, cordon, uncordon, drain, remove, and how to join it: token");
  const statuses = wordsOf("AgentStatus");
  agents
    .command("list", { isDefault: true })
    .description("all agents known, whatever their state")
    .addOption(
      new Option("--status <status>", `only ${statuses.join(", ")}; may be repeated`).argParser(
        enumListOption("headroom.common.v1.AgentStatus", statuses),
      ),
    )
    .option("--pool <name>", "only this pool")
    .option("--limit <n>", "rows at most", wholeNumber(1, mostRows), 100)
    .action((options: AgentsListOptions) => run(agentsList(options)));
  agents
    .command("get <agent>")
    .description("one agent; by its id, the first characters of it (four at least), or its host name")
    .action((agent: string) => run(agentsGet(agent)));
  agents
    .command("cordon <agent>")
    .description("keep new work away from an agent; what runs there goes on")
    .option("--reason <text>", "why, for people", "")
    .action((agent: string, options: { reason: string }) => run(agentsCordon(agent, options.reason)));
  agents
    .command("uncordon <agent>")
    .description("let work come to an agent again")
    .action((agent: string) => run(agentsUncordon(agent)));
  agents
    .command("drain <agent>")
    .description("keep new work away from an agent and let what runs there end; uncordon ends a drain")
    .option(
      "--deadline <duration>",
      "what runs longer than that is stopped and tried elsewhere, such as 10m; default: none is stopped",
      duration,
    )
    .option("--wait", "follow the drain to its end; the default with a deadline")
    .option("--no-wait", "answer at once")
    .option("--reason <text>", "why, for people", "")
    .addHelpText("after", exitCodeHelp)
    .action((agent: string, options: AgentsDrainOptions) => run(agentsDrain(agent, options)));
  agents
    .command("confirm-losses")
    .description(
      "very many agents were lost at once and are kept suspect: tell every registry process that they are really gone",
    )
    .action(() => run(agentsConfirmLosses()));
  agents
    .command("remove <agent>")
    .description("forget an agent that is offline; its credential is useless from then on")
    .action((agent: string) => run(agentsRemove(agent)));

  addTokenCommands(agents, run);
}

const agentTypes = ["desktop", "infra", "code", "research"];

/** `agents token …` */
function addTokenCommands(agents: Command, run: ProgramContext["run"]): void {
  const token = agents.command("token").description("join tokens, with which agents on other machines join the fleet");
  token
    .command("create")
    .description("make one; it is shown once, on stdout, and what to type on the other machine beside it")
    .option("--pool <name>", "pool that agents join with it", "default")
    .option("--type <type>", "what the agents are for", enumOption("headroom.common.v1.AgentType", agentTypes))
    .option("--ttl <duration>", "how long it can be used, up to 30d (default 1h)", duration)
    .option("--max-uses <n>", "how many agents can join with it", wholeNumber(1, 100_000), 1)
    .action((options: JoinTokenCreateOptions) => run(joinTokenCreate(options)));
  token
    .command("list", { isDefault: true })
    .description("the tokens that were made, those that have ended for a month; never the tokens themselves")
    .option("--limit <n>", "rows at most", wholeNumber(1, mostRows), 100)
    .action((options: { limit: number }) => run(joinTokenList(options.limit)));
  token
    .command("revoke <token>")
    .description("end one, by its id or the first characters of it; agents that have joined with it stay")
    .action((given: string) => run(joinTokenRevoke(given)));
}
