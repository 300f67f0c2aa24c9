/** What the tests of reservations ask of a registry, and how they look at what became of it. */
import { wire } from "@headroom/contracts";
import type { TestDatabase } from "@headroom/testing";
import { expect } from "vitest";
import type { FakeAgent } from "./fake-agent.ts";
import { type RegistryUnderTest, reserveOf } from "./harness.ts";

type Outcome = NonNullable<wire.ReserveResult["outcome"]>;

/** What a test has at the moment of a call. */
interface Scene {
  readonly database: TestDatabase;
  readonly at: RegistryUnderTest;
  readonly agent: FakeAgent;
  /** Each test has a pool of its own. */
  readonly pool: string;
}

/** What the agent of each test has. */
export const free = { cores: 16, memoryGb: 64, vramGb: 24 };

export function reserved(outcome: Outcome): wire.Reservation {
  if (outcome.$case !== "reserved") throw new Error(`not reserved: ${JSON.stringify(outcome)}`);
  return outcome.value;
}

export function reservationCalls(scene: () => Scene) {
  async function reserveAll(reservations: readonly wire.Reserve[], allOrNothing = false): Promise<Outcome[]> {
    const { at, pool } = scene();
    const inPool = reservations.map((reserve) => ({ ...reserve, needs: { ...reserve.needs!, pool } }));
    const answer = await at.capacity.reserveCapacity({ reservations: inPool, allOrNothing });
    expect(answer.results.map(({ attemptId }) => attemptId)).toEqual(reservations.map(({ attemptId }) => attemptId));
    expect(answer.revision!.counter).toBeGreaterThan(0);
    return answer.results.map(({ outcome }) => outcome!);
  }
  async function reserve(
    attemptId: string,
    needs: Partial<wire.ResourceNeeds> = {},
    overrides: Partial<wire.Reserve> = {},
  ): Promise<Outcome> {
    return (await reserveAll([reserveOf(attemptId, needs, overrides)]))[0]!;
  }
  async function release(attemptId: string, fence = 1): Promise<wire.ReleaseOutcome> {
    const { capacity } = scene().at;
    return (await capacity.releaseCapacity({ attempts: [{ attemptId, fence }], reason: "test" })).results[0]!.outcome;
  }
  async function renew(attemptId: string, fence = 1): Promise<wire.RenewResult> {
    return (await scene().at.capacity.renewReservations({ attempts: [{ attemptId, fence }] })).results[0]!;
  }
  async function freeCores(): Promise<number> {
    const { at, agent } = scene();
    return (await at.capacity.getAgentCapacity({ agentId: agent.agentId })).cpuCoresAvailable;
  }
  async function stateInDatabase(attemptId: string): Promise<string | undefined> {
    const [row] = await scene().database.sql<{ state: string }>(
      "SELECT state FROM registry.reservations WHERE attempt_id = $1",
      [attemptId],
    );
    return row?.state;
  }
  return { reserveAll, reserve, release, renew, freeCores, stateInDatabase };
}
