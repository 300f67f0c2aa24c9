import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Logger, silentLogger, systemPorts } from "@headroom/runtime";
import { captureLogger, createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { DatabaseRightsError, migrate, type Migration, SchemaTooNewError } from "./index.ts";

let test: TestDatabase;
beforeEach(async () => {
  test = await createTestDatabase({ label: "migrations" });
});
afterEach(() => test.drop());

const first: Migration = {
  name: "0001_agents",
  // The question mark would be a parameter to knex.
  up: `CREATE TABLE agents (id int PRIMARY KEY, doc jsonb NOT NULL DEFAULT '{}' CHECK (NOT doc ? 'forbidden'));
       INSERT INTO agents (id) VALUES (1);`,
};
const second: Migration = {
  name: "0002_pools",
  up: async (db) => {
    await db.schema.createTable("pools", (table) => void table.text("name").primary());
  },
};
const concurrently: Migration = {
  name: "0003_agents_doc",
  transaction: false,
  up: [
    "DROP INDEX CONCURRENTLY IF EXISTS agents_doc",
    "CREATE INDEX CONCURRENTLY agents_doc ON agents USING gin (doc)",
  ],
};

function run(
  migrations: readonly Migration[],
  schema = "registry",
  logger: Logger = silentLogger,
): Promise<readonly string[]> {
  return migrate({ connection: test, schema, migrations, logger, ports: systemPorts }).then((result) => result.applied);
}

async function tables(schema: string): Promise<string[]> {
  const rows = await test.sql<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1",
    [schema],
  );
  return rows.map((row) => row.name);
}

/** The same database, let in as somebody else. */
function connectionAs(connectionString: string, role: string): string {
  return connectionString.replace(/^([a-z]+:\/\/)(?:[^/@]*@)?/, `$1${role}:not-much@`);
}

describe("migrations", () => {
  it("run once and in order, in a schema of their own", async () => {
    expect(await run([first])).toEqual(["0001_agents"]);
    expect(await run([first, second, concurrently])).toEqual(["0002_pools", "0003_agents_doc"]);
    expect(await run([first, second, concurrently])).toEqual([]);
    expect(await run([first], "orchestrator")).toEqual(["0001_agents"]);
    expect(await tables("registry")).toEqual(["agents", "migrations", "migrations_lock", "pools"]);
    expect(await tables("orchestrator")).toEqual(["agents", "migrations", "migrations_lock"]);
    expect(await tables("public")).toEqual([]);
  });

  it("of four replicas that start at once one migrates and the others find it done", async () => {
    const logger = captureLogger();
    const applied = await Promise.all([1, 2, 3, 4].map(() => run([first, second, concurrently], "registry", logger)));
    expect(applied.filter((names) => names.length === 3)).toHaveLength(1);
    expect(applied.filter((names) => names.length === 0)).toHaveLength(3);
    expect(await test.sql("SELECT count(*)::int AS n FROM registry.agents")).toEqual([{ n: 1 }]);
    const valid = "SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'registry.agents_doc'::regclass";
    expect(await test.sql(valid)).toEqual([{ valid: true }]);
  });

  it("that fail leave nothing behind, and go through once mended", async () => {
    const broken: Migration = { name: "0002_pools", up: "CREATE TABLE half (id int); SELECT 1 / 0;" };
    await expect(run([first, broken])).rejects.toThrow("division by zero");
    expect((await tables("registry")).filter((name) => !name.startsWith("migrations"))).toEqual([]);
    expect(await run([first, second])).toEqual(["0001_agents", "0002_pools"]);
  });

  it("go on after a process was killed while it held knex's own lock", async () => {
    await run([first]);
    await test.sql("UPDATE registry.migrations_lock SET is_locked = 1");
    expect(await run([first, second])).toEqual(["0002_pools"]);
  });

  it("refuse a schema of a newer version and say what to do", async () => {
    await run([first, second]);
    const older = run([first]);
    await expect(older).rejects.toThrow(SchemaTooNewError);
    await expect(older).rejects.toMatchObject({ unknownMigrations: ["0002_pools"] });
    await expect(older).rejects.toThrow("newer Headroom");
  });

  it("are no obstacle to an older program that they leave room to work: it may restart in the middle of an update", async () => {
    const expansion: Migration = {
      name: "0002_agents_colour",
      up: "ALTER TABLE agents ADD COLUMN colour text NOT NULL DEFAULT ''",
      usableFrom: "0001_agents",
    };
    const logger = captureLogger();
    expect(await run([first, expansion])).toEqual(["0001_agents", "0002_agents_colour"]);
    expect(await run([first], "registry", logger)).toEqual([]);
    expect(JSON.stringify(logger.records)).toContain("0002_agents_colour");
    // Two versions behind: the second expansion says that only the first may be missing.
    const next: Migration = { name: "0003_agents_size", up: "SELECT 1", usableFrom: "0002_agents_colour" };
    expect(await run([first, expansion, next])).toEqual(["0003_agents_size"]);
    expect(await run([first, expansion])).toEqual([]);
    await expect(run([first])).rejects.toThrow(SchemaTooNewError);
    // A contraction says nothing, and turns older ones away.
    expect(await run([first, expansion, next, { name: "0004_contract", up: "SELECT 1" }])).toEqual(["0004_contract"]);
    await expect(run([first, expansion, next])).rejects.toMatchObject({ unknownMigrations: ["0004_contract"] });
  });

  it("whose mark a crash kept from being written turn older programs away, until the next start mends it", async () => {
    const expansion: Migration = { name: "0002_expand", up: "SELECT 1", usableFrom: "0001_agents" };
    await run([first, expansion]);
    await test.sql("DELETE FROM registry.migrations_usable");
    await expect(run([first])).rejects.toThrow(SchemaTooNewError);
    expect(await run([first, expansion])).toEqual([]);
    expect(await run([first])).toEqual([]);
  });

  it("wait for whoever migrates, but not for ever", async () => {
    const options = {
      connection: test,
      schema: "registry",
      migrations: [first],
      logger: silentLogger,
      ports: systemPorts,
    };
    const inner = { result: undefined as unknown };
    const slow: Migration = {
      name: "0002_slow",
      up: async () => {
        inner.result = await migrate({ ...options, lockWaitMs: 150 }).catch((error: unknown) => error);
      },
    };
    await migrate({ ...options, migrations: [first, slow] });
    expect(inner.result).toMatchObject({ name: "MigrationLockError" });
    const controller = new AbortController();
    controller.abort(new Error("shutting down"));
    expect(await run([first, slow])).toEqual([]);
  });

  it("end with the connection that holds the lock: nothing is done without it", async () => {
    const cut: Migration = {
      name: "0002_cut",
      up: async (db) => {
        await db.schema.createTable("half", (table) => void table.text("name"));
        await test.sql(`SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                         WHERE locktype = 'advisory' AND datname = current_database()`);
        await db.schema.createTable("rest", (table) => void table.text("name"));
      },
    };
    await expect(run([first, cut])).rejects.toThrow(/terminat|connection/i);
    expect(await tables("registry")).not.toContain("half");
    expect(await tables("registry")).not.toContain("rest");
  });

  it("check before each step that a new connection has not taken the place of the one with the lock", async () => {
    // Outside a transaction the next statement simply gets another connection.
    const cut: Migration = {
      name: "0002_cut",
      transaction: false,
      up: async (db) => {
        await test.sql(`SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                         WHERE locktype = 'advisory' AND datname = current_database()`);
        await waitFor(() =>
          db.raw("SELECT 1").then(
            () => true,
            () => false,
          ),
        );
      },
    };
    const rest: Migration = { name: "0003_rest", up: "CREATE TABLE rest (id int)" };
    await expect(run([first, cut, rest])).rejects.toThrow("the connection that held the migration lock is gone");
    expect(await tables("registry")).not.toContain("rest");
  });

  describe("by a role of few rights", () => {
    let role: string;
    beforeEach(async () => {
      role = `${test.name}_role`;
      await test.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'not-much'`);
    });
    afterEach(async () => {
      await test.drop();
      const rest = await createTestDatabase({ label: "roles" });
      await rest.sql(`DROP ROLE ${role}`);
      await rest.drop();
    });
    const migrateAs = async (migrations: readonly Migration[]): Promise<readonly string[]> => {
      const connectionString = connectionAs(test.connectionString, role);
      const options = { schema: "registry", migrations, logger: silentLogger, ports: systemPorts };
      return (await migrate({ ...options, connection: { connectionString } })).applied;
    };

    it("need no right to create schemas where the schema is there, and is the role's own", async () => {
      await test.sql(`CREATE SCHEMA registry AUTHORIZATION ${role}`);
      expect(await migrateAs([first])).toEqual(["0001_agents"]);
      expect(await migrateAs([first, second, concurrently])).toEqual(["0002_pools", "0003_agents_doc"]);
      expect(await migrateAs([first, second, concurrently])).toEqual([]);
    });

    it("say which right is missing, of which role, and how to give it", async () => {
      const refused = migrateAs([first]);
      await expect(refused).rejects.toThrow(DatabaseRightsError);
      await expect(refused).rejects.toThrow(`GRANT CREATE ON DATABASE "${test.name}" TO "${role}"`);
      await test.sql(`GRANT CREATE ON DATABASE ${test.name} TO ${role}`);
      expect(await migrateAs([first])).toEqual(["0001_agents"]);
    });

    it("say so as well of a schema, and of tables, that belong to somebody else", async () => {
      await run([first]);
      const refused = migrateAs([first]);
      await expect(refused).rejects.toThrow(DatabaseRightsError);
      await expect(refused).rejects.toThrow(`ALTER SCHEMA "registry" OWNER TO "${role}"`);
      await test.sql(`ALTER SCHEMA registry OWNER TO ${role}`);
      await test.sql(`GRANT ALL ON ALL TABLES IN SCHEMA registry TO ${role}`);
      await test.sql(`GRANT ALL ON ALL SEQUENCES IN SCHEMA registry TO ${role}`);
      const alters: Migration = { name: "0002_colour", up: "ALTER TABLE agents ADD COLUMN colour text" };
      await expect(migrateAs([first, alters])).rejects.toThrow("must be owner of table agents");
    });
  });

  it("must be named and sorted like 0001_agents", async () => {
    await expect(run([{ ...first, name: "agents" }])).rejects.toThrow("named like");
    await expect(run([second, first])).rejects.toThrow('"0001_agents" must sort after "0002_pools"');
    await expect(run([first, first])).rejects.toThrow("must sort after");
    await expect(run([first, { ...second, usableFrom: "0002_pools" }])).rejects.toThrow("an earlier migration");
  });
});
