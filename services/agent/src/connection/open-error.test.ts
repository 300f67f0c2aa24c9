import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HeadroomError } from "@headroom/rpc";
import { captureLogger, makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AgentTls } from "../config/config.ts";
import { credentialPath, writeCredentialFile } from "../enrolment/credential-file.ts";
import { isTransient } from "./backoff.ts";
import { rememberFailures } from "./last-failure.ts";
import { openError } from "./open-error.ts";
import { grpcConnections, type Connections } from "./open-stream.ts";

let dir: TempDir;
let connections: Connections | undefined;
beforeEach(async () => {
  dir = await makeTempDir("agent open error");
});
afterEach(async () => {
  connections?.close();
  await dir.remove();
});

function connect(tls: AgentTls | null = null): Connections {
  const nowhere = { host: "127.0.0.1", port: 9 };
  connections = grpcConnections({
    ports: manualPorts(),
    logger: captureLogger(),
    registryAddr: nowhere,
    orchestratorAddr: nowhere,
    credentialFile: credentialPath(dir.path),
    token: null,
    tokenFile: join(dir.path, "token"),
    isOwnTokenFile: true,
    tls,
  });
  return connections;
}

const whyNot = (opened: Promise<unknown>): Promise<HeadroomError> =>
  opened.then(
    () => Promise.reject(new Error("it was opened")),
    (error: unknown) => openError(error),
  );

async function writeCredential(): Promise<void> {
  await writeCredentialFile(credentialPath(dir.path), { joinTokenDigest: "d", requestId: "r", credential: "c" });
}

describe("why a stream cannot be opened", () => {
  it.skipIf(process.platform === "win32")(
    "a credential that others can read is for a person to put right, and heals with that",
    async () => {
      await writeCredential();
      await chmod(credentialPath(dir.path), 0o644);
      const error = await whyNot(connect().openAttach());
      expect(error).toMatchObject({
        reason: "CREDENTIAL_FILE_UNUSABLE",
        message: expect.stringContaining("chmod 600"),
      });
      expect(isTransient(error)).toBe(false);
      await chmod(credentialPath(dir.path), 0o600);
      await expect(connect().openAttach()).resolves.toBeTypeOf("function");
    },
  );

  it("so is one that is damaged, and whoever waits for the agent is told", async () => {
    await writeFile(credentialPath(dir.path), "{");
    const remembered = rememberFailures(connect());
    const error = await whyNot(remembered.openHeartbeat());
    expect(error.reason).toBe("CREDENTIAL_FILE_UNUSABLE");
    expect(isTransient(error)).toBe(false);
    expect(remembered.lastFailure()).toMatchObject({ message: error.message });
  });

  it("so are TLS files that are missing", async () => {
    const error = await whyNot(
      connect({ caFile: join(dir.path, "none.crt"), certFile: null, keyFile: null }).openHeartbeat(),
    );
    expect(error.reason).toBe("TLS_FILES_UNUSABLE");
    expect(isTransient(error)).toBe(false);
  });

  it("so is a file of somebody else; a disk that stumbles is not", () => {
    const refused = openError(Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" }));
    expect(isTransient(refused)).toBe(false);
    const stumbled = openError(Object.assign(new Error("EIO: i/o error"), { code: "EIO" }));
    expect([stumbled.reason, isTransient(stumbled)]).toEqual(["STREAM_NOT_OPENED", true]);
  });
});
