/** WatchCapacity is open to everybody, and whoever shows no token keeps nobody out who does. */
import { wire } from "@headroom/contracts";
import { createChannel, createClient } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";

let database: TestDatabase;
let at: RegistryUnderTest;

beforeAll(async () => {
  database = await createTestDatabase({ label: "anonymous watchers" });
  at = await startRegistry({ databaseUrl: database.connectionString });
});
afterAll(async () => {
  await at?.stop();
  await database?.drop();
});

it("R-PAUSE-9: a hundred anonymous readers are watched, one more is refused, and an orchestrator is not", async () => {
  const address = at.registry.grpcAddress!;
  const channel = createChannel({ address, ports: systemPorts, logger: silentLogger, userAgent: "test" });
  const stops: AbortController[] = [];
  const request = wire.WatchCapacityRequest.fromPartial({});
  const watch = (
    client: RegistryUnderTest["capacity"],
  ): Promise<IteratorResult<wire.WatchCapacityResponse, unknown>> => {
    const stop = new AbortController();
    stops.push(stop);
    return client.watchCapacity(request, { signal: stop.signal })[Symbol.asyncIterator]().next();
  };
  try {
    const anonymous = createClient(wire.CapacityServiceService, channel);
    const snapshot = { done: false, value: { snapshot: true } };
    // One after the other: only so many anonymous requests may be on their way.
    for (let reader = 0; reader < 100; reader += 1) expect(await watch(anonymous)).toMatchObject(snapshot);
    await expect(watch(anonymous)).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "TOO_MANY_WATCHERS" });
    expect(await watch(at.capacity)).toMatchObject(snapshot);
  } finally {
    for (const stop of stops) stop.abort();
    channel.close();
  }
});
