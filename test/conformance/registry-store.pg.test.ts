import { createDatabase, migrate } from "@headroom/postgres";
import { createPostgresStore, REGISTRY_SCHEMA, registryMigrations } from "@headroom/registry";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase } from "@headroom/testing";
import { registryCommitConformance } from "./registry-store/commits.ts";
import { registryEnrolmentConformance } from "./registry-store/enrolment.ts";
import { registryTaskMixConformance } from "./registry-store/task-mix.ts";
import { registryStoreConformance, type StoreUnderTest } from "./registry-store.ts";

registryStoreConformance(openStores);
registryCommitConformance(openStores);
registryEnrolmentConformance(openStores);

registryTaskMixConformance(openStores);

async function openStores(): Promise<StoreUnderTest> {
  const database = await createTestDatabase({ label: "registry store" });
  const shared = {
    connection: database.connectionString,
    schema: REGISTRY_SCHEMA,
    logger: silentLogger,
    ports: systemPorts,
  };
  await migrate({ ...shared, migrations: registryMigrations });
  const open = () => createPostgresStore(createDatabase({ ...shared, applicationName: "registry-store-test", max: 8 }));
  const [store, second] = [open(), open()];
  return {
    store,
    second,
    async close() {
      await store.close();
      await second.close();
      await database.drop();
    },
  };
}
