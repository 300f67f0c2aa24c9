import { durationFromMs, timestampFromMs, wire } from "@headroom/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, type Handlers, runTestCli, startTestServices } from "../cli.test-helper.ts";

const tokenId = "cccc1111-1111-4111-8111-111111111111";
const joinToken = "hrj1.cccc1111-1111-4111-8111-111111111111.a-seal-that-nobody-can-guess";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(fleet: NonNullable<Handlers["fleet"]>, ...args: readonly string[]): Promise<CliOutcome> {
  const services = await startTestServices({ fleet });
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, "agents", "token", ...args]);
}

const tokenOf = (overrides: Partial<wire.JoinToken>): wire.JoinToken =>
  wire.JoinToken.fromPartial({
    tokenId,
    poolName: "default",
    agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
    maxUses: 1,
    createdAt: timestampFromMs(Date.now()),
    expiresAt: timestampFromMs(Date.now() + 3_600_500),
    ...overrides,
  });

describe("headroom agents token", () => {
  it("create: the token alone on stdout, and beside it what to type on the other machine", async () => {
    const asked: wire.CreateJoinTokenRequest[] = [];
    const fleet: NonNullable<Handlers["fleet"]> = {
      createJoinToken: (request) => {
        asked.push(request);
        return Promise.resolve({ tokenId, joinToken, expiresAt: timestampFromMs(Date.now() + 600_900) });
      },
    };
    const given = ["--pool", "gpu", "--type", "research", "--ttl", "10m", "--max-uses", "5"];
    const { code, stdout, stderr } = await run(fleet, "create", ...given);
    expect([code, stdout]).toEqual([0, `${joinToken}\n`]);
    expect(stderr).toContain(`token ${tokenId}: for 5 agents, for 10 m 00 s; it is not shown again`);
    expect(stderr).toContain("headroom agent --join TOKEN --registry HOST:7401 --pool gpu --type research\n");
    expect(asked[0]).toMatchObject({
      poolName: "gpu",
      agentType: wire.AgentType.AGENT_TYPE_RESEARCH,
      ttl: durationFromMs(600_000),
      maxUses: 5,
    });
    // So that a call whose answer is lost can be tried again.
    expect(asked[0]?.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("create: what cannot be is told before anybody is asked", async () => {
    const wrong = async (...args: readonly string[]) => (await run({}, "create", ...args)).stderr;
    expect(await wrong("--ttl", "soon")).toContain("It must be a duration");
    expect(await wrong("--max-uses", "0")).toContain("whole number from 1 to 100000");
    expect(await wrong("--type", "dektop")).toContain("Did you mean desktop?");
  });

  it("list: the state of each, never the token", async () => {
    const tokens = [
      tokenOf({ usable: true }),
      tokenOf({ uses: 1 }),
      tokenOf({ revokedAt: timestampFromMs(Date.now()) }),
      tokenOf({ expiresAt: timestampFromMs(Date.now() - 1) }),
    ];
    const fleet = { listJoinTokens: () => Promise.resolve({ tokens, nextPageToken: "", totalSize: 9 }) };
    const { stdout, stderr } = await run(fleet, "list");
    for (const state of ["ends in 1 h 00 m", "1 of 1", "used up", "revoked", "expired"])
      expect(stdout).toContain(state);
    expect(stderr).toContain("5 more; --limit 9 shows them");
    const none = await run({ listJoinTokens: () => Promise.resolve(wire.ListJoinTokensResponse.create()) });
    expect(none.stderr).toContain("there is no join token; make one with: headroom agents token create");
  });

  it("revoke: by the first characters of its id", async () => {
    const asked: string[] = [];
    const fleet: NonNullable<Handlers["fleet"]> = {
      listJoinTokens: () => Promise.resolve({ tokens: [tokenOf({})], nextPageToken: "", totalSize: 1 }),
      revokeJoinToken: (request) => {
        asked.push(request.tokenId);
        return Promise.resolve({});
      },
    };
    const { code, stderr } = await run(fleet, "revoke", "cccc");
    expect([code, asked]).toEqual([0, [tokenId]]);
    expect(stderr).toContain("nobody joins with it any more");
    expect((await run(fleet, "revoke", "dddd")).stderr).toContain("headroom agents token list");
  });
});
