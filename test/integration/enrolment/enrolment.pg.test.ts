import { wire } from "@headroom/contracts";
import { createClient, HeadroomError } from "@headroom/rpc";
import { type CapturingLogger, makeTempDir, type TempDir, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeAgent } from "../registry/support/fake-agent.ts";
import { type Cleanup, type FleetUnderTest, startFleet, token } from "./harness.ts";

let at: FleetUnderTest;
let dir: TempDir;
const cleanups: Cleanup[] = [];

beforeAll(async () => {
  at = await startFleet(cleanups);
});
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
beforeEach(async () => {
  dir = await makeTempDir("joining agent");
  const made = dir;
  cleanups.push(() => made.remove());
});

const credentialFile = () => join(dir.path, "agent", "credential.json");
const failure = async (promise: Promise<unknown>): Promise<Partial<HeadroomError>> =>
  promise.then(
    () => ({ reason: "NO_ERROR" }),
    (error: unknown) => error as HeadroomError,
  );

async function untilConnected(agent: { status(): { isOnline: boolean; isAttached: boolean } | null }): Promise<void> {
  await waitFor(() => agent.status()?.isOnline === true && agent.status()?.isAttached === true);
}

/** Why the registry refuses an agent's heartbeat, as the agent's log says it. */
async function refusedWith(logger: CapturingLogger): Promise<HeadroomError> {
  const record = await waitFor(() => logger.records.find(({ message }) => message.includes("heartbeat: refused")));
  const { err } = record.fields;
  if (err instanceof HeadroomError) return err;
  throw new Error("the log has no error");
}

/** What the services say to a stream of agent `agentId` that shows `shown`. */
async function refusals(agentId: string, shown: string): Promise<readonly (string | undefined)[]> {
  const beating = new FakeAgent(at.heartbeatAs(shown), { agentId });
  beating.hello();
  const attach = createClient(wire.WorkServiceService, at.workAs(shown)).attach();
  const attached = new Promise<HeadroomError | null>((resolve) => {
    attach.onMessage(() => attach.end());
    attach.onPeerEnd(() => attach.end());
    attach.onClose(resolve);
  });
  attach.send({
    message: { $case: "hello", value: { agentId, incarnation: randomUUID(), attempts: [], takesItems: false } },
  });
  return [(await beating.whenClosed())?.reason, (await attached)?.reason];
}

describe("DESIGN 4, 6: an agent on another machine joins with a token", () => {
  it("exchanges it once for a credential of its own, kept 0600, and runs work with it; both services know it", async () => {
    const { joinToken } = await at.joinToken();
    const { agent } = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: joinToken });
    await agent.start();
    await untilConnected(agent);
    expect((await stat(credentialFile())).mode & 0o777).toBe(0o600);
    expect(await readFile(credentialFile(), "utf8")).not.toContain(joinToken);
    const { planId } = await at.plans.dispatchPlan(
      wire.DispatchPlanRequest.fromPartial({
        plan: { name: "remote", tasks: [{ name: "one", command: { argv: [process.execPath, "-e", ""] } }] },
      }),
    );
    const plan = await waitFor(async () => {
      const now = (await at.plans.getPlan({ planId })).plan;
      return now?.finishedAt === undefined ? null : now;
    });
    expect(plan.status).toBe(wire.PlanStatus.PLAN_STATUS_SUCCEEDED);
    await agent.stop();

    // The same command line again, as a service manager gives it: the token is used up, and nobody minds.
    const again = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: joinToken });
    await again.agent.start();
    await untilConnected(again.agent);
    await again.agent.stop();
    const { agent: plain } = await at.makeAgent(dir.path);
    await plain.start();
    await untilConnected(plain);
    await plain.stop();
  });

  it("an agent speaks only for itself, at both services", async () => {
    const own = randomUUID();
    const { joinToken } = await at.joinToken();
    const { credential } = await at.enroll({ joinToken, agentId: own });
    expect(await refusals(randomUUID(), credential)).toEqual(["AGENT_ID_MISMATCH", "AGENT_ID_MISMATCH"]);
    expect(await refusals(own, `${credential.slice(0, -3)}abc`)).toEqual(["CREDENTIAL_INVALID", "CREDENTIAL_INVALID"]);
    // Nor may it do what planners and operators do.
    const fleet = createClient(wire.FleetServiceService, at.heartbeatAs(credential));
    expect(await failure(fleet.cordonAgent({ agentId: own, reason: "" }))).toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "ROLE_REQUIRED",
    });
    const plans = createClient(wire.PlanServiceService, at.workAs(credential));
    expect(await failure(plans.dispatchPlan(wire.DispatchPlanRequest.fromPartial({})))).toMatchObject({
      reason: "ROLE_REQUIRED",
    });
    await new FakeAgent(at.heartbeatAs(credential), { agentId: own.toUpperCase() }).join();
  });

  it("a removed agent does not come back, and is told how it can", async () => {
    const { joinToken } = await at.joinToken();
    const { agent } = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: joinToken });
    await agent.start();
    await untilConnected(agent);
    const agentId = agent.status()?.agentId ?? "";
    await agent.stop();
    await waitFor(async () => {
      const { agent: known } = await at.fleet.getAgent({ agentId });
      return known?.status === wire.AgentStatus.AGENT_STATUS_OFFLINE;
    });
    await at.fleet.removeAgent({ agentId });
    const back = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: joinToken });
    await back.agent.start();
    const told = await refusedWith(back.logger);
    expect(told).toMatchObject({ reason: "CREDENTIAL_ENDED" });
    expect(told.message).toContain("headroom agent --join TOKEN");
    await back.agent.stop();
    // With a new token it is one of the fleet again, under the id that it had.
    const { joinToken: another } = await at.joinToken();
    const { agent: anew } = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: another });
    await anew.start();
    await untilConnected(anew);
    expect(anew.status()?.agentId).toBe(agentId);
    await anew.stop();
  });

  it("an answer that is lost costs no second use", async () => {
    const { joinToken } = await at.joinToken();
    const [agentId, requestId] = [randomUUID(), randomUUID()];
    const first = await at.enroll({ joinToken, agentId, requestId });
    expect(await at.enroll({ joinToken, agentId, requestId })).toEqual(first);
    // So it is for the agent: its folder has the request, and no credential yet.
    const { joinToken: token2, tokenId } = await at.joinToken();
    await mkdir(join(dir.path, "agent"), { recursive: true });
    const starting = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: token2 });
    await starting.agent.start();
    await untilConnected(starting.agent);
    await starting.agent.stop();
    const kept = JSON.parse(await readFile(credentialFile(), "utf8")) as Record<string, unknown>;
    await writeFile(credentialFile(), JSON.stringify({ ...kept, credential: null }));
    const again = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: token2 });
    await again.agent.start();
    await untilConnected(again.agent);
    expect(JSON.parse(await readFile(credentialFile(), "utf8"))).toEqual(kept);
    const { tokens } = await at.fleet.listJoinTokens({ pageSize: 0, pageToken: "" });
    expect(tokens.find((one) => one.tokenId === tokenId)).toMatchObject({ uses: 1, usable: false });
    await again.agent.stop();
  });
});

describe("bad input: what is refused says the way out", () => {
  it("tokens that have ended, are for others, or are none", async () => {
    const anotherTry = 'headroom agents token create"';
    const usedUp = await at.joinToken();
    await at.enroll({ joinToken: usedUp.joinToken });
    const revoked = await at.joinToken();
    await at.fleet.revokeJoinToken({ tokenId: revoked.tokenId });
    await at.fleet.revokeJoinToken({ tokenId: revoked.tokenId.toUpperCase() });
    const scoped = await at.joinToken({ poolName: "gpu", agentType: wire.AgentType.AGENT_TYPE_RESEARCH });
    const short = await at.joinToken({ ttl: { seconds: 1, nanos: 0 } });
    const expired = await waitFor(async () => {
      const said = await failure(at.enroll({ joinToken: short.joinToken, poolName: "elsewhere" }));
      return said.reason === "JOIN_TOKEN_EXPIRED" ? said : null;
    });
    expect(expired.message).toContain(anotherTry);
    const cases: readonly [string, Partial<wire.EnrollAgentRequest>, string, string][] = [
      ["JOIN_TOKEN_USED_UP", { joinToken: usedUp.joinToken }, "FAILED_PRECONDITION", "for one agent"],
      ["JOIN_TOKEN_REVOKED", { joinToken: revoked.joinToken }, "FAILED_PRECONDITION", anotherTry],
      ["JOIN_TOKEN_WRONG_POOL", { joinToken: scoped.joinToken }, "PERMISSION_DENIED", "--pool gpu"],
      [
        "JOIN_TOKEN_WRONG_TYPE",
        { joinToken: scoped.joinToken, poolName: "gpu" },
        "PERMISSION_DENIED",
        "--type research",
      ],
      ["JOIN_TOKEN_INVALID", { joinToken: `${scoped.joinToken}x` }, "UNAUTHENTICATED", anotherTry],
      ["JOIN_TOKEN_INVALID", { joinToken: token }, "UNAUTHENTICATED", anotherTry],
    ];
    for (const [reason, request, code, wayOut] of cases) {
      const error = await failure(at.enroll(request));
      expect([error.reason, error.code]).toEqual([reason, code]);
      expect(error.message).toContain(wayOut);
    }
    const wrongId = await failure(at.enroll({ joinToken: scoped.joinToken, agentId: "desk-1" }));
    expect(wrongId).toMatchObject({ code: "INVALID_ARGUMENT", fieldViolations: [{ field: "agent_id" }] });
  });

  it("ids that are taken, and tokens that cannot be", async () => {
    const { joinToken } = await at.joinToken({ maxUses: 5 });
    const agentId = randomUUID();
    await at.enroll({ joinToken, agentId });
    const taken = await failure(at.enroll({ joinToken, agentId }));
    expect(taken).toMatchObject({ code: "ALREADY_EXISTS", reason: "AGENT_ALREADY_ENROLLED" });
    expect(taken.message).toContain(`headroom agents remove ${agentId}`);
    const requestId = randomUUID();
    const one = await at.joinToken({ requestId, poolName: "a" });
    expect(await at.joinToken({ requestId, poolName: "a" })).toEqual(one);
    expect(await failure(at.joinToken({ requestId, poolName: "b" }))).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "REQUEST_ID_REUSED",
    });
    expect(await failure(at.joinToken({ ttl: { seconds: 31 * 86_400, nanos: 0 } }))).toMatchObject({
      fieldViolations: [{ field: "ttl" }],
    });
    expect(await failure(at.fleet.revokeJoinToken({ tokenId: randomUUID() }))).toMatchObject({
      code: "NOT_FOUND",
      reason: "JOIN_TOKEN_NOT_FOUND",
    });
    const anonymous = createClient(wire.FleetServiceService, at.heartbeatAs());
    expect(await failure(anonymous.createJoinToken(wire.CreateJoinTokenRequest.fromPartial({})))).toMatchObject({
      code: "UNAUTHENTICATED",
      reason: "TOKEN_REQUIRED",
    });
  });

  it("an agent whose settings moved it elsewhere, whose file is open to others, or whose token is none", async () => {
    const { joinToken } = await at.joinToken();
    const { agent } = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: joinToken });
    await agent.start();
    await untilConnected(agent);
    await agent.stop();
    const moved = await at.makeAgent(dir.path, { HEADROOM_AGENT_POOL: "another" });
    await moved.agent.start();
    const told = await refusedWith(moved.logger);
    expect(told).toMatchObject({ reason: "OUTSIDE_CREDENTIAL" });
    expect(told.message).toContain("--pool default --type desktop");
    await moved.agent.stop();

    await chmod(credentialFile(), 0o644);
    const open = await at.makeAgent(dir.path, { HEADROOM_JOIN_TOKEN: joinToken });
    await expect(open.agent.start()).rejects.toThrow(`chmod 600 ${credentialFile()}`);
    await chmod(credentialFile(), 0o600);
    await writeFile(credentialFile(), "{}");
    await expect(open.agent.start()).rejects.toThrow("holds no credential");

    const other = await makeTempDir("stranger");
    cleanups.push(() => other.remove());
    const stranger = await at.makeAgent(other.path, { HEADROOM_JOIN_TOKEN: "no-token-at-all" });
    await expect(stranger.agent.start()).rejects.toMatchObject({ reason: "JOIN_TOKEN_INVALID" });
  });
});
