import { wire } from "@headroom/contracts";
import { HeadroomError, unavailable } from "@headroom/rpc";
import { captureLogger, makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type CredentialFile,
  credentialPath,
  digestOf,
  readCredentialFile,
  writeCredentialFile,
} from "./credential-file.ts";
import { enrol, type Enroller } from "./enrol.ts";

it("whoever waits for an agent to join is told why it cannot, once for each reason", async () => {
  const dir = await makeTempDir("agent-enrol");
  const ports = manualPorts();
  const logger = captureLogger();
  const [away, refused] = ["SERVER_UNREACHABLE", "SERVER_CERTIFICATE_REFUSED"];
  const failures = [away, away, refused, refused];
  const state = { isJoined: false };
  const joined = enrol(
    {
      ports,
      logger,
      agentDir: dir.path,
      joinToken: "hrj1.x",
      about: { agentId: "a", hostname: "h", poolName: "", agentType: wire.AgentType.AGENT_TYPE_DESKTOP },
      enroll: () => {
        const reason = failures.shift();
        if (reason !== undefined) return Promise.reject(unavailable(reason, "no connection", 1_000));
        return Promise.resolve(wire.EnrollAgentResponse.create({ credential: "c" }));
      },
    },
    new AbortController().signal,
  ).then(() => (state.isJoined = true));
  while (!state.isJoined) await ports.advance(10_000);
  await joined;
  const warnings = logger.records.filter(({ level }) => level === "warn").map(({ fields }) => fields["err"]);
  expect(warnings).toMatchObject([{ reason: away }, { reason: refused }]);
  await dir.remove();
});

describe("an agent that has joined, with another join token", () => {
  const newer = "hrj1.newer";
  let dir: TempDir;
  beforeEach(async () => {
    dir = await makeTempDir("agent-enrol-again");
    await writeCredentialFile(credentialPath(dir.path), kept);
  });
  afterEach(() => dir.remove());

  const kept = { joinTokenDigest: digestOf("hrj1.older"), requestId: "r", credential: "kept" };
  const file = (): Promise<CredentialFile | null> => readCredentialFile(credentialPath(dir.path));
  function again(enroll: Enroller, ports = manualPorts()) {
    const logger = captureLogger();
    const about = { agentId: "a", hostname: "h", poolName: "", agentType: wire.AgentType.AGENT_TYPE_DESKTOP };
    const options = { ports, logger, agentDir: dir.path, joinToken: newer, about, enroll };
    return { logger, joined: enrol(options, new AbortController().signal) };
  }

  it.each(["AGENT_ALREADY_ENROLLED", "JOIN_TOKEN_EXPIRED"])(
    "that is refused for good (%s) goes on with what it has, and says why and what to do",
    async (reason) => {
      const refusal = new HeadroomError({ code: "FAILED_PRECONDITION", reason, message: "no" });
      const { logger, joined } = again(() => Promise.reject(refusal));
      await joined;
      expect(await file()).toEqual(kept);
      const warnings = logger.records.filter(({ level }) => level === "warn");
      expect(warnings).toMatchObject([{ fields: { err: { reason } } }]);
      expect(warnings[0]?.message).toContain(`(${reason})`);
      expect(warnings[0]?.message).toContain("take the join token away");
    },
  );

  it("has the new credential where the old one is void and the token is good", async () => {
    await again(() => Promise.resolve(wire.EnrollAgentResponse.create({ credential: "new" }))).joined;
    expect(await file()).toMatchObject({ credential: "new", joinTokenDigest: digestOf(newer) });
  });

  it("waits for a registry that is away, and is told of what is no refusal", async () => {
    const ports = manualPorts();
    const answers = [unavailable("SERVER_UNREACHABLE", "away", 1_000), new TypeError("a bug")];
    const { joined } = again(() => Promise.reject(answers.shift()), ports);
    const failed = expect(joined).rejects.toThrow("a bug");
    while (answers.length > 0) await ports.advance(10_000);
    await failed;
  });
});
