/** Lists of agents whose host names are as long as the contract allows, page by page. On real PostgreSQL. */
import { wire } from "@headroom/contracts";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";

/** Characters that a host name may have. */
const LONGEST = 253;
/** Of each kind one that takes the most bytes in a page token: one, two, three and four in UTF-8, and one that JSON writes with six letters. */
const KINDS = { ascii: "a", latin: "ü", cjk: "机", emoji: "🖥", control: "\u0001" };

let database: TestDatabase;
let at: RegistryUnderTest;

beforeAll(async () => {
  database = await createTestDatabase({ label: "long hostnames" });
  at = await startRegistry({ databaseUrl: database.connectionString });
  // The last one in the order is on the last page, which has no token behind it.
  for (const kind of [...Object.values(KINDS), "\u{10FFFF}"]) await at.join({ hostname: kind.repeat(LONGEST) });
});
afterAll(async () => {
  await at?.stop();
  await database?.drop();
});

/** The host names of all pages, each of one agent. */
async function readAll(
  list: (
    pageToken: string,
  ) => Promise<{ readonly agents: readonly { readonly hostname: string }[]; readonly nextPageToken: string }>,
): Promise<readonly string[]> {
  const names: string[] = [];
  for (let pageToken = ""; ;) {
    const page = await list(pageToken);
    names.push(...page.agents.map(({ hostname }) => hostname));
    pageToken = page.nextPageToken;
    if (pageToken === "") return names;
  }
}

const LISTS = {
  ListAgents: (pageToken: string) =>
    at.fleet.listAgents(wire.ListAgentsRequest.fromPartial({ pageSize: 1, pageToken })),
  ListAvailableCapacity: (pageToken: string) =>
    at.capacity.listAvailableCapacity(
      wire.ListAvailableCapacityRequest.fromPartial({ orderBy: "hostname", pageSize: 1, pageToken }),
    ),
};

it.each(["ListAgents", "ListAvailableCapacity"] as const)(
  "%s takes back every page token that it gives, whatever the host name in it",
  async (name) => {
    const names = await readAll(LISTS[name]);
    for (const kind of Object.values(KINDS)) expect(names).toContain(kind.repeat(LONGEST));
    expect(names).toHaveLength(Object.keys(KINDS).length + 1);
  },
);
