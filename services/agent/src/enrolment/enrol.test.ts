import { wire } from "@headroom/contracts";
import { unavailable } from "@headroom/rpc";
import { captureLogger, makeTempDir, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { enrol } from "./enrol.ts";

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
