import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cluster } from "../e2e/support/cluster.ts";
import type { Facts } from "../support/invariants/facts.ts";

export interface Evidence {
  readonly seed: number;
  readonly story: readonly string[];
  readonly facts: Facts;
  readonly problems: readonly string[];
}

/** Everything that helps to understand what went wrong, in a folder that stays. Answers its path. */
export function keepEvidence(cluster: Cluster, { seed, story, facts, problems }: Evidence): string {
  const dir = join(tmpdir(), `headroom-processes-${seed}-${Date.now()}`);
  mkdirSync(dir);
  for (const { name, dataDir } of [...cluster.registries, ...cluster.orchestrators, ...cluster.agents])
    cpSync(dataDir, join(dir, name), { recursive: true });
  // What they said on stderr, and the ledger.
  cpSync(cluster.dir, join(dir, "cluster"), { recursive: true });
  writeFileSync(join(dir, "story"), `${story.join("\n")}\n\n${problems.join("\n")}\n`);
  writeFileSync(join(dir, "facts.json"), JSON.stringify(facts));
  return dir;
}
