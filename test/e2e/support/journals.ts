import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RunFact } from "../../support/invariants/facts.ts";
import { followJournal, type JournalTail } from "../../support/invariants/journal-tail.ts";
import { runsOf } from "../../support/invariants/runs.ts";
import type { AgentMember } from "./members.ts";

const pollMs = 100;

/** The journals of a cluster's agents, followed from now on: what really ran. */
export interface Journals {
  /** All that they have said so far. */
  runs(): readonly RunFact[];
  close(): void;
}

export function followJournals(agents: readonly AgentMember[]): Journals {
  const tails = agents.map((agent): readonly [AgentMember, JournalTail] => [
    agent,
    followJournal(join(agent.dataDir, "agent", "journal.jsonl")),
  ]);
  const pollAll = (): void => {
    for (const [, tail] of tails) tail.poll();
  };
  const timer = setInterval(pollAll, pollMs);
  pollAll();
  return {
    runs() {
      pollAll();
      return tails.flatMap(([agent, { records }]) => runsOf(agentIdOf(agent), records));
    },
    close() {
      clearInterval(timer);
      for (const [, tail] of tails) tail.close();
    },
  };
}

function agentIdOf({ dataDir }: AgentMember): string {
  // Written by the agent at its first start.
  const { agent_id: agentId } = JSON.parse(readFileSync(join(dataDir, "agent", "identity.json"), "utf8")) as {
    agent_id: string;
  };
  return agentId;
}
