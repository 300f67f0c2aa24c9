/** The index against a plain scan of the fleet. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { type AgentsQuestion, findAgents } from "./find-agents.ts";
import { pageOf } from "./paging.ts";

const idOf = (number: number): string => `${number % 3}a000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

const anyStatus = fc.constantFrom<StoredAgent["status"][]>("online", "suspect", "offline", "unknown");
const anyAgent = fc
  .record({
    number: fc.nat(60),
    host: fc.constantFrom("desk", "desk-1", "desk-2", "Desk-1", "schreibtisch-ü"),
    poolName: fc.constantFrom("lab", "render"),
    status: anyStatus,
  })
  .map(({ number, host, ...facts }) => agentWith({ ...facts, agentId: idOf(number), hostname: host }));
const anyQuestion: fc.Arbitrary<AgentsQuestion> = fc.record({
  statuses: fc.uniqueArray(anyStatus, { maxLength: 2 }).map((statuses) => new Set(statuses)),
  poolName: fc.constantFrom("", "", "lab", "nowhere"),
  hostname: fc.constantFrom("", "", "desk", "desk-1", "nobody"),
  agentIdPrefix: fc.constantFrom("", "", "0a", "1A000000", idOf(7), "ff"),
});

function plainly(fleet: Fleet, asked: AgentsQuestion, pageSize: number, pageToken: string) {
  const { statuses, poolName, hostname } = asked;
  const prefix = asked.agentIdPrefix.toLowerCase();
  const rows = [...fleet.agents()].filter(
    (agent) =>
      (statuses.size === 0 || statuses.has(agent.status)) &&
      (poolName === "" || agent.poolName === poolName) &&
      (hostname === "" || agent.hostname === hostname) &&
      agent.agentId.startsWith(prefix),
  );
  const question = ["agents", [...statuses].sort(), poolName, hostname, prefix];
  const keyOf = (agent: StoredAgent) => ({ value: agent.hostname, agentId: agent.agentId });
  return pageOf(rows, { descending: false }, keyOf, { pageSize, pageToken, question });
}

describe("findAgents", () => {
  it("agrees with a plain scan for every fleet, change, filter and page", () => {
    const pages = fc.integer({ min: 1, max: 7 });
    fc.assert(
      fc.property(
        fc.array(anyAgent, { maxLength: 60 }),
        fc.array(anyAgent, { maxLength: 10 }),
        fc.array(fc.nat(60), { maxLength: 5 }),
        fc.array(fc.tuple(anyQuestion, pages), { minLength: 1, maxLength: 5 }),
        (agents, changes, removed, questions) => {
          const fleet = new Fleet("r");
          const index = new CapacityIndex(fleet);
          for (const agent of agents) fleet.put(agent);
          index.refresh();
          for (const agent of changes) fleet.put(agent);
          for (const number of removed) fleet.remove(idOf(number));
          for (const [asked, pageSize] of questions) {
            for (let pageToken = "", page = 0; page < 5; page += 1) {
              const found = findAgents(index, asked, { pageSize, pageToken });
              expect(found).toEqual(plainly(fleet, asked, pageSize, pageToken));
              pageToken = found.nextPageToken;
              if (pageToken === "") break;
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  }, 60_000);

  it("answers for an empty fleet", () => {
    const asked = { statuses: new Set<never>(), poolName: "", hostname: "x", agentIdPrefix: "" };
    const page = findAgents(new CapacityIndex(new Fleet("r")), asked, { pageSize: 10, pageToken: "" });
    expect(page).toEqual({ rows: [], nextPageToken: "", totalSize: 0 });
  });
});
