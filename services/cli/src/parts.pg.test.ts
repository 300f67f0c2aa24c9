import { createTestDatabase, makeTempDir, type TempDir, type TestDatabase, writeCertificates } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type PartFacts, parts } from "./parts.ts";

describe("a part in the foreground", () => {
  let database: TestDatabase;
  let dir: TempDir;
  beforeEach(async () => {
    database = await createTestDatabase({ label: "parts" });
    dir = await makeTempDir("parts");
  });
  afterEach(async () => {
    await dir.remove();
    await database.drop();
  });

  it("tells the URL of its REST, with the scheme that it speaks", async () => {
    const { serverCertFile, serverKeyFile } = writeCertificates(dir.path);
    const stop = new AbortController();
    let facts: PartFacts | undefined;
    const code = await parts.registry.run({
      env: {
        DATABASE_URL: database.connectionString,
        HEADROOM_DATA_DIR: dir.path,
        HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
        HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
        HEADROOM_TLS_CERT_FILE: serverCertFile,
      },
      flags: { "tls-key-file": serverKeyFile },
      pretty: false,
      until: stop.signal,
      onReady(told) {
        facts = told;
        stop.abort();
      },
    });
    expect(facts?.http).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(code).toBe(0);
  });
});
