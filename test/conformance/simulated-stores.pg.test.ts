/** The stores of the simulation pass what the stores on PostgreSQL pass: it is what makes the simulation worth believing. */
import { createPostgresStore as createOrchestratorStore, orchestratorSchema } from "@headroom/orchestrator";
import { createPostgresStore as createRegistryStore, REGISTRY_SCHEMA } from "@headroom/registry";
import { silentLogger } from "@headroom/runtime";
import { createTestDatabase } from "@headroom/testing";
import { describe } from "vitest";
import { openRealSessions } from "../simulation/database/real-sessions.ts";
import { SimPostgres } from "../simulation/database/sim-postgres.ts";
import { Engine } from "../simulation/engine/engine.ts";
import type { SimProcess } from "../simulation/engine/sim-process.ts";
import { followRealTime } from "../simulation/real-time.ts";
import { orchestratorStoreConformance } from "./orchestrator-store.ts";
import { registryCommitConformance } from "./registry-store/commits.ts";
import { registryEnrolmentConformance } from "./registry-store/enrolment.ts";
import { registryStoreConformance, type StoreUnderTest } from "./registry-store.ts";
import { registryTaskMixConformance } from "./registry-store/task-mix.ts";

async function openSimulated(label: string) {
  const database = await createTestDatabase({ label });
  const real = await openRealSessions(database.connectionString);
  await real.reset(1);
  const engine = new Engine(1, Date.now());
  const server = new SimPostgres(engine, real);
  const stop = followRealTime(engine);
  return {
    process: (name: string) => engine.process(name),
    open: (process: SimProcess, schema: string) =>
      server
        .serverFor(process)
        .database({ schema, applicationName: process.name, logger: silentLogger, ports: process.ports }),
    clear: () => real.reset(1),
    async close() {
      await stop();
      await real.close();
      await database.drop();
    },
  };
}

async function openRegistryStores(): Promise<StoreUnderTest> {
  const simulated = await openSimulated("sim registry store");
  const open = (name: string) => createRegistryStore(simulated.open(simulated.process(name), REGISTRY_SCHEMA));
  return { store: open("one"), second: open("other"), close: () => simulated.close() };
}

describe("RegistryStore in the simulation", () => {
  registryStoreConformance(openRegistryStores);
  registryCommitConformance(openRegistryStores);
  registryEnrolmentConformance(openRegistryStores);
  registryTaskMixConformance(openRegistryStores);
});

describe("OrchestratorStore in the simulation", () => {
  orchestratorStoreConformance(async () => {
    const simulated = await openSimulated("sim orch store");
    const database = simulated.open(simulated.process("one"), orchestratorSchema);
    return {
      store: createOrchestratorStore(database, {}),
      clear: () => simulated.clear(),
      close: () => simulated.close(),
    };
  });
});
