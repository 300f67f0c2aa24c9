import { createDeferred } from "@headroom/runtime";
import { SeededRandom } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { StoreClock } from "../fleet/store-clock.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import type { Admission, RefusedAdmission } from "../store/registry-store.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { Admissions } from "./admissions.ts";
import { supersededError } from "./errors.ts";

function admissionOf(agentId: string = randomUUID()): Admission {
  const { hostname, agentType, poolName, labels, version, platform } = agentWith();
  const identity = { agentId, hostname, agentType, poolName, labels, version, platform };
  return {
    identity,
    incarnation: randomUUID(),
    session: 1,
    replicaId: randomUUID(),
    attached: true,
    ownerHold: false,
    credentialId: null,
  };
}

/** A store that admits whoever comes once its gate is open. */
function start(
  options: {
    maxWaiting?: number;
    refused?: readonly RefusedAdmission[];
    /** What is read of an agent after it was admitted. */
    read?: (admission: Admission) => StoredAgent;
  } = {},
) {
  const { read = ({ identity, incarnation, replicaId }) => agentWith({ ...identity, incarnation, replicaId }) } =
    options;
  const gate = createDeferred();
  const groups: number[] = [];
  let refused = 0;
  const admissions = new Admissions({
    store: storeStub({
      async admit(asked) {
        groups.push(asked.length);
        await gate.promise;
        const refused = options.refused ?? [];
        return { agents: asked.map(read), refused, nowMs: 1 };
      },
    }),
    storeClock: new StoreClock({ now: () => 0, monotonic: () => 0 }),
    random: new SeededRandom(1),
    onRefused: () => (refused += 1),
    ...(options.maxWaiting !== undefined && { maxWaiting: options.maxWaiting }),
  });
  return { admissions, gate, groups, refused: () => refused };
}

describe("admission of a whole fleet at once", () => {
  it("DESIGN-4: many Hellos are few transactions, one at a time", async () => {
    const { admissions, gate, groups } = start();
    const all = Array.from({ length: 1_000 }, () => admissions.admit(admissionOf()));
    await Promise.resolve();
    expect(admissions.pending).toBe(1_000);
    gate.resolve();
    await Promise.all(all);
    expect(groups).toEqual([200, 200, 200, 200, 200]);
    expect(admissions.pending).toBe(0);
  });

  it("DESIGN-4: what waits is bounded; the rest is told when to come back, each at another time", async () => {
    const { admissions, gate, refused } = start({ maxWaiting: 10 });
    const all = Array.from({ length: 60 }, () => admissions.admit(admissionOf()).catch((error: unknown) => error));
    gate.resolve();
    const outcomes = await Promise.all(all);
    const errors = outcomes.filter((outcome) => outcome instanceof Error);
    expect(errors).toHaveLength(50);
    expect(refused()).toBe(50);
    for (const error of errors) expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_BUSY" });
    const waits = errors.map((error) => ("retryAfterMs" in error ? Number(error.retryAfterMs) : 0));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(5_000);
    expect(new Set(waits).size).toBeGreaterThan(40);
  });

  it("DESIGN-4: a clone is refused, the others of its group are let in", async () => {
    const [copy, other] = [admissionOf(), admissionOf()];
    const { admissions, gate } = start({ refused: [{ agentId: copy.identity.agentId, why: "cloned" }] });
    const refused = admissions.admit(copy).catch((error: unknown) => error);
    const admitted = admissions.admit(other);
    gate.resolve();
    expect(await refused).toMatchObject({ code: "ALREADY_EXISTS", reason: "AGENT_CLONED" });
    expect((await admitted).agentId).toBe(other.identity.agentId);
  });

  it("V10: a session that another process has opened before the row was read again is not this one's", async () => {
    const { admissions, gate } = start({
      read: ({ identity, incarnation }) => agentWith({ ...identity, incarnation, replicaId: randomUUID(), epoch: 7 }),
    });
    const refused = admissions.admit(admissionOf()).catch((error: unknown) => error);
    gate.resolve();
    expect(await refused).toMatchObject({ reason: supersededError().reason });
  });
});
