import { afterEach, describe, expect, it } from "vitest";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { captureLogger, createTestDatabase, startPrivatePostgres, waitFor } from "@headroom/testing";
import { DatabaseAwayError, waitForDatabase } from "./index.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const nowhere = "postgresql://nobody:secret@127.0.0.1:1/none";

describe("waitForDatabase", () => {
  it("waits for a server that comes later, and logs each try with the way out", async () => {
    const server = await startPrivatePostgres();
    cleanups.push(() => server.remove());
    await server.stop();
    const logger = captureLogger();
    const waiting = waitForDatabase({ connection: server, logger, ports: systemPorts });
    await waitFor(() => logger.records.length >= 2);
    expect(logger.records[0]?.message).toContain("DATABASE_URL");
    await server.start();
    await waiting;
    expect(logger.has("answers", "info")).toBe(true);
  });

  it("ends at the deadline or with the signal, without the password in the message", async () => {
    const late = waitForDatabase({ connection: nowhere, logger: silentLogger, ports: systemPorts, deadlineMs: 300 });
    await expect(late).rejects.toThrow(DatabaseAwayError);
    await expect(late).rejects.toThrow(/database "none" at 127.0.0.1:1 did not answer .*DATABASE_URL/);
    await expect(late).rejects.not.toThrow("secret");
    const controller = new AbortController();
    const logger = captureLogger();
    const stopped = waitForDatabase({ connection: nowhere, logger, ports: systemPorts, signal: controller.signal });
    await waitFor(() => logger.records.length > 0, { describe: "a first try" });
    controller.abort(new Error("shutting down"));
    await expect(stopped).rejects.toThrow("shutting down");
  });

  it("waits while the server takes no writes: a standby that is about to become the primary", async () => {
    const test = await createTestDatabase({ label: "standby" });
    cleanups.push(() => test.drop());
    await test.sql(`ALTER DATABASE ${test.name} SET default_transaction_read_only = on`);
    const logger = captureLogger();
    const waiting = waitForDatabase({ connection: test, logger, ports: systemPorts });
    await waitFor(() => logger.records.length >= 2);
    expect(logger.records[0]?.message).toContain("takes no writes");
    await test.sql(`SET transaction_read_only = off; ALTER DATABASE ${test.name} RESET default_transaction_read_only`);
    await waiting;
  });

  it("does not wait for what waiting cannot heal", async () => {
    const test = await createTestDatabase({ label: "wait" });
    cleanups.push(() => test.drop());
    await waitForDatabase({ connection: test, logger: silentLogger, ports: systemPorts });
    const missing = test.connectionString.replace(test.name, "no_such_database");
    const refused = waitForDatabase({ connection: missing, logger: silentLogger, ports: systemPorts });
    await expect(refused).rejects.toThrow(/"no_such_database" .*does not exist; correct DATABASE_URL/);
  });
});
