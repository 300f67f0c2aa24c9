/** One agent's absurd figures: refused where they come in, and whatever of them is there already takes the fleet from nobody. */
import { MAX_UNITS } from "@headroom/contracts";
import { createGrpcRegistry } from "@headroom/orchestrator";
import { systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cardOf, machineOf, useOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

describe("absurd figures", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;

  beforeAll(async () => {
    database = await createTestDatabase({ label: "absurd" });
    at = await startRegistry({ databaseUrl: database.connectionString });
  });
  afterAll(async () => {
    await at?.stop();
    await database?.drop();
  });

  it("R-CAP-1: sums that no reader can be told fail the stream, and name the field", async () => {
    const vram = { vramTotalMib: MAX_UNITS, vramAvailableMib: MAX_UNITS, vramOfferMib: MAX_UNITS };
    const cards = [cardOf(vram), cardOf({ ...vram, cardId: "gpu-1", index: 1 })];
    const greedy = at.agent({ sample: { ...machineOf({ cores: 16 }), cards } });
    greedy.hello();
    expect(await greedy.whenClosed()).toMatchObject({
      code: "INVALID_ARGUMENT",
      fieldViolations: [{ field: "hello.sample.cards[1].vram_mib.total" }],
    });
    const attempts = [useOf(randomUUID(), 1, MAX_UNITS), useOf(randomUUID(), 1, MAX_UNITS)];
    const busy = await at.join();
    busy.beat({ sample: machineOf({ cores: 16 }, attempts) }).catch(() => undefined);
    expect(await busy.whenClosed()).toMatchObject({
      code: "INVALID_ARGUMENT",
      fieldViolations: [{ field: "beat.sample.attempts[1].cpu_millicores" }],
    });
  });

  it("R-PAUSE-9: an orchestrator follows a fleet on one agent of which more is reserved than any machine has", async () => {
    const [absurd, other] = [await at.join(), await at.join()];
    // Together with the promise the adopted attempt passes the limit, that each of them keeps.
    const reservations = [reserveOf(randomUUID(), { agentId: absurd.agentId })];
    await at.capacity.reserveCapacity({ reservations, allOrNothing: false });
    await absurd.beat({ sample: machineOf({ cores: 16 }, [useOf(randomUUID(), 1, MAX_UNITS)]) });
    const { reserved } = await at.capacity.getAgentCapacity({ agentId: absurd.agentId });
    expect(reserved!.cpuCores).toBeGreaterThan(MAX_UNITS / 1_000);

    const registry = createGrpcRegistry(at.connect(), systemPorts.timers);
    const reservedOf = new Map<string, number>();
    for await (const { agents } of registry.watch(new AbortController().signal)) {
      for (const agent of agents) reservedOf.set(agent.agentId, agent.cpuReservedMillicores);
      break;
    }
    expect(reservedOf.get(absurd.agentId)).toBe(MAX_UNITS);
    expect(reservedOf.get(other.agentId)).toBe(0);
    const withRoom = await registry.withRoom();
    expect(withRoom.map(({ agentId }) => agentId)).toContain(other.agentId);
  });
});
