// What the tests of the pool share: two counters in a database of their own, and pools on it that are closed after each test.
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { createDatabase, type DatabaseOptions, defineStatement, type PooledDatabase } from "./index.ts";

interface CounterRow {
  readonly id: number;
  readonly n: number;
}

export const addToCounter = defineStatement<CounterRow>({
  name: "test_add_to_counter",
  text: "UPDATE counters SET n = n + $2 WHERE id = $1 RETURNING id, n",
});
export const readCounter = defineStatement<CounterRow>({
  name: "test_read_counter",
  text: "SELECT id, n FROM counters WHERE id = $1",
});

export interface Counters {
  readonly test: TestDatabase;
  open(options?: Partial<DatabaseOptions>): PooledDatabase;
  /** Counters 1 and 2 at zero, and no pool but those of the test that follows. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export async function createCounters(label: string): Promise<Counters> {
  const test = await createTestDatabase({ label });
  await test.sql("CREATE SCHEMA work");
  await test.sql(
    "CREATE TABLE work.counters (id int PRIMARY KEY, n bigint NOT NULL, CONSTRAINT small CHECK (n < 1000))",
  );
  const opened: PooledDatabase[] = [];
  const closeOpened = (): Promise<unknown> => Promise.all(opened.splice(0).map((pool) => pool.close()));
  return {
    test,
    open(options = {}) {
      const pool = createDatabase({
        connection: test,
        schema: "work",
        applicationName: "pool-test",
        logger: silentLogger,
        ports: systemPorts,
        ...options,
      });
      opened.push(pool);
      return pool;
    },
    async reset() {
      await closeOpened();
      await test.sql("TRUNCATE work.counters");
      await test.sql("INSERT INTO work.counters VALUES (1, 0), (2, 0)");
    },
    async close() {
      await closeOpened();
      await test.drop();
    },
  };
}
