/** Real registry processes on one database: stopped one after the other, and killed. */
import { wire } from "@headroom/contracts";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { machineOf, useOf } from "./support/fake-agent.ts";
import { reserveOf } from "./support/harness.ts";
import { type RegistryProcess, startRegistryProcess } from "./support/registry-process.ts";
import { RoamingAgent } from "./support/roaming-agent.ts";

const AGENTS = 12;
const TIMEOUT_MS = 180_000;
// Real time, and other tests beside: an agent may be late by seconds without being suspect.
const ENV = { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "8", HEADROOM_OFFLINE_GRACE_SECONDS: "30" };

describe("several registry processes", { timeout: TIMEOUT_MS }, () => {
  let database: TestDatabase;
  const processes: RegistryProcess[] = [];
  const agents: RoamingAgent[] = [];

  beforeEach(async () => {
    database = await createTestDatabase({ label: "registry rolling" });
  }, TIMEOUT_MS);
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.stop()));
    await Promise.all(processes.splice(0).map((running) => running.close()));
    await database.drop();
  }, TIMEOUT_MS);

  async function start(): Promise<RegistryProcess> {
    const started = await startRegistryProcess(database.connectionString, ENV);
    processes.push(started);
    return started;
  }

  /** Half of them begin at each of the two. */
  function startAgents(one: RegistryProcess, two: RegistryProcess, attemptIds: readonly string[] = []): void {
    for (let index = 0; index < AGENTS; index += 1) {
      const attempts = attemptIds.map((attemptId) => useOf(attemptId));
      const agent = new RoamingAgent(500, { sample: machineOf({ cores: 16 }, index === 0 ? attempts : []) });
      agent.mayGoTo(...(index % 2 === 0 ? [one, two] : [two, one]));
      agents.push(agent);
      agent.start();
    }
  }

  const send = (...places: readonly RegistryProcess[]): void => {
    for (const agent of agents) agent.mayGoTo(...places);
  };

  /** All agents are ONLINE in the eyes of this process. */
  async function allOnline(at: RegistryProcess): Promise<void> {
    const statuses = [wire.AgentStatus.AGENT_STATUS_ONLINE];
    await waitFor(
      async () => {
        const answer = await at.fleet.listAgents(wire.ListAgentsRequest.fromPartial({ statuses, pageSize: 1 }));
        return answer.totalSize === AGENTS;
      },
      { describe: `all ONLINE at one process:\n${at.script.output()}` },
    );
  }

  /** Every agent's session is held by a process of which there is a row. */
  async function allHeldByTheLiving(): Promise<void> {
    let held = 0;
    await waitFor(
      async () => {
        const [row] = await database.sql<{ held: number }>(
          `SELECT count(*)::int AS held FROM registry.agent_liveness
            WHERE replica_id IN (SELECT replica_id FROM registry.replicas WHERE lease_expires_at > now())`,
        );
        held = row?.held ?? 0;
        return held === AGENTS;
      },
      // How long it takes is no part of the promise; whether anybody was doubted meanwhile is looked at below.
      { timeoutMs: 60_000, describe: () => `${AGENTS} agents held by living processes; there are ${held}` },
    );
  }

  async function expectNoFlap(): Promise<void> {
    const rows = await database.sql(
      "SELECT * FROM registry.agent_liveness WHERE flaps > 0 OR probation_until IS NOT NULL",
    );
    expect(rows).toEqual([]);
  }

  it("DESIGN-4: a rolling restart makes no agent SUSPECT and is nobody's flap", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    startAgents(one, two);
    for (const at of [one, two]) await allOnline(at);

    send(two);
    await one.term();
    await allHeldByTheLiving();
    await allOnline(two);
    const oneAgain = await start();
    await allOnline(oneAgain);

    send(oneAgain);
    await two.term();
    await allHeldByTheLiving();
    await allOnline(oneAgain);
    const twoAgain = await start();
    for (const at of [oneAgain, twoAgain]) await allOnline(at);

    for (const { script } of processes) expect(script.output()).not.toContain("agent is suspect");
    for (const agent of agents) expect(agent.joined).toBeGreaterThanOrEqual(2);
    await expectNoFlap();
  });

  it("DESIGN-4: the kill -9 of a process costs its agents a reconnect, and nothing else", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    const attemptId = randomUUID();
    startAgents(one, two, [attemptId]);
    for (const at of [one, two]) await allOnline(at);
    const agentId = agents[0]!.agentId;
    await waitFor(async () => (await two.fleet.getAgent({ agentId })).agent!.attemptIds.includes(attemptId));
    const promised = randomUUID();
    await one.capacity.reserveCapacity({
      reservations: [reserveOf(promised, { cpuCores: 2, agentId })],
      allOrNothing: false,
    });

    await one.script.kill9();
    await allHeldByTheLiving();
    await allOnline(two);
    await waitFor(async () => {
      const { agent } = await two.fleet.getAgent({ agentId });
      return agent!.attemptIds.includes(attemptId) && agent!.attemptIds.includes(promised);
    });
    await two.capacity.releaseCapacity({ attempts: [{ attemptId: promised, fence: 1 }], reason: "test" });
    expect((await two.fleet.getAgent({ agentId })).agent!.attemptIds).toEqual([attemptId]);
    for (const agent of agents) expect(agent.joined).toBeLessThanOrEqual(2);
    await expectNoFlap();
  });

  it("DESIGN-4: when a process dies and its agents stay away, they are SUSPECT everywhere, blameless", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    startAgents(one, one);
    await allOnline(two);
    for (const agent of agents) agent.mayGoTo();
    await one.script.kill9();
    const statuses = [wire.AgentStatus.AGENT_STATUS_SUSPECT];
    await waitFor(async () => {
      const answer = await two.fleet.listAgents(wire.ListAgentsRequest.fromPartial({ statuses }));
      return answer.totalSize === AGENTS;
    });
    expect(two.script.output()).toContain("agent is suspect");
    await expectNoFlap();
  });
});
