/** To whom the token of this machine's own services is shown: a real socket, and what is said on it. */
import { writeFile } from "node:fs/promises";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir, waitFor, type CapturingLogger, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { credentialPath } from "../enrolment/credential-file.ts";
import { grpcConnections } from "./open-stream.ts";

const token = "token-of-this-machine";
let dir: TempDir;
let logger: CapturingLogger;
let server: Http2Server;
let sessions: ServerHttp2Session[];
let shown: (string | null)[];

beforeEach(async () => {
  dir = await makeTempDir("withheld token");
  await writeFile(join(dir.path, "token"), token, { mode: 0o600 });
  logger = captureLogger();
  sessions = [];
  shown = [];
  server = createServer();
  server.on("session", (session) => sessions.push(session));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    shown.push(headers.authorization ?? null);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  for (const session of sessions) session.destroy();
  await new Promise((resolve) => server.close(resolve));
  await dir.remove();
});

/** What is shown to the registry and then to the orchestrator at this host, which is our server by whatever name. */
async function shownTo(host: string, isOwnTokenFile: boolean): Promise<readonly (string | null)[]> {
  const address = { host, port: (server.address() as AddressInfo).port };
  shown = [];
  const connections = grpcConnections({
    ports: systemPorts,
    logger,
    registryAddr: address,
    orchestratorAddr: address,
    credentialFile: credentialPath(dir.path),
    token: null,
    tokenFile: join(dir.path, "token"),
    isOwnTokenFile,
    tls: null,
  });
  try {
    for (const open of [() => connections.openHeartbeat(), () => connections.openAttach()] as const) {
      const before = shown.length;
      const stream = (await open())();
      stream.onClose(() => undefined);
      await waitFor(() => shown.length > before);
    }
    return shown;
  } finally {
    connections.close();
  }
}

// A name other than localhost may be anybody's; "0" is this machine on POSIX systems.
it.skipIf(process.platform === "win32")(
  "DESIGN-6: the token that lies in the data folder is shown to services of this machine only; a file that was named, to whom was named",
  async () => {
    const bearer = `Bearer ${token}`;
    expect(await shownTo("127.0.0.1", true)).toEqual([bearer, bearer]);
    expect(logger.records).toEqual([]);
    expect(await shownTo("0", true)).toEqual([null, null]);
    expect(
      logger.records.map(({ level, message }) => [
        level,
        /not shown to 0\. .*--join(?!.*HEADROOM_TOKEN_FILE)/.test(message),
      ]),
    ).toEqual([
      ["warn", true],
      ["warn", true],
    ]);
    expect(await shownTo("0", false)).toEqual([bearer, bearer]);
  },
);
