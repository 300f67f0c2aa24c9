/** What every RegistryStore must do, whatever it is built on. Run it on each implementation. */
import { afterAll, beforeAll, describe } from "vitest";
import { agentsConformance } from "./registry-store/agents.ts";
import { createRegistryDesk, type StoreUnderTest } from "./registry-store/fixtures.ts";
import { fleetAdminConformance } from "./registry-store/fleet-admin.ts";
import { replicasConformance } from "./registry-store/replicas.ts";
import { reservationsConformance } from "./registry-store/reservations.ts";

export type { StoreUnderTest } from "./registry-store/fixtures.ts";

export function registryStoreConformance(makeStore: () => Promise<StoreUnderTest>): void {
  describe("RegistryStore conformance", () => {
    let under: StoreUnderTest;
    beforeAll(async () => {
      under = await makeStore();
    });
    afterAll(async () => under?.close());
    const desk = createRegistryDesk(() => under);

    agentsConformance(desk);
    reservationsConformance(desk);
    fleetAdminConformance(desk);
    replicasConformance(desk);
  });
}
