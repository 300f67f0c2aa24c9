import { afterAll, expect, it } from "vitest";
import { createTestDatabase } from "./test-database.ts";

const databases = await Promise.all([
  createTestDatabase({ label: "Harness one!" }),
  createTestDatabase({ label: "harness-two" }),
]);
afterAll(() => Promise.all(databases.map((database) => database.drop())));

it("each test database is its own and can be dropped twice", async () => {
  const [one, two] = databases;
  await one.sql("CREATE TABLE only_here (id int)");
  const find = "SELECT to_regclass('only_here')::text AS found";
  expect(await one.sql(find)).toEqual([{ found: "only_here" }]);
  expect(await two.sql(find)).toEqual([{ found: null }]);
  expect(await one.sql("SELECT current_database() AS name, $1::int + 1 AS next", [41])).toEqual([
    { name: one.name, next: 42 },
  ]);
  await two.drop();
  await two.drop();
  expect(await one.sql("SELECT datname FROM pg_database WHERE datname = $1", [two.name])).toEqual([]);
});
