/** Requests that are right, from which those are made that are nearly so. A type that is not here is fuzzed from its descriptor alone. */
import { wire } from "@headroom/client";
import { emptyPool, type Victim, victimPool } from "../support/world.ts";

/** Encoded requests by the full name of their type. */
export function corpus(victim: Victim): ReadonlyMap<string, readonly Buffer[]> {
  const registry = "headroom.registry.v1";
  const orchestrator = "headroom.orchestrator.v1";
  return new Map(
    Object.entries({
      [`${registry}.ReserveCapacityRequest`]: reserves(),
      [`${registry}.RenewReservationsRequest`]: [renew(victim)],
      [`${registry}.ReleaseCapacityRequest`]: [release(victim)],
      [`${registry}.ListAvailableCapacityRequest`]: [listing()],
      [`${registry}.ExplainCapacityRequest`]: [explain()],
      [`${registry}.EnrollAgentRequest`]: [enroll(victim)],
      [`${registry}.HeartbeatRequest`]: beats(victim),
      [`${orchestrator}.AttachRequest`]: works(victim),
      [`${orchestrator}.DispatchPlanRequest`]: [dispatch()],
      [`${orchestrator}.PreviewPlanRequest`]: [preview()],
    }),
  );
}

const stranger = "00000000-0000-4000-8000-0000000000f0";
const needs = { cpuCores: 1, memoryGb: 1, gpuCount: 1, gpuVramGb: 2, pool: victimPool, labels: { a: "b" } };

function reserves(): Buffer[] {
  const one = { attemptId: stranger, fence: 1, needs, expectedDuration: { seconds: 60, nanos: 0 } };
  return [{ dryRun: true }, { allOrNothing: true }, { placementPolicy: "best_fit", dryRun: true }].map((how) =>
    bytes(wire.ReserveCapacityRequest.encode(wire.ReserveCapacityRequest.fromPartial({ reservations: [one], ...how }))),
  );
}

function renew({ attemptId }: Victim): Buffer {
  const attempts = [
    { attemptId, fence: 1 },
    { attemptId: stranger, fence: 2 },
  ];
  return bytes(wire.RenewReservationsRequest.encode(wire.RenewReservationsRequest.fromPartial({ attempts })));
}

function release({ attemptId }: Victim): Buffer {
  const request = { attempts: [{ attemptId, fence: 1 }], reason: "rubbish" };
  return bytes(wire.ReleaseCapacityRequest.encode(wire.ReleaseCapacityRequest.fromPartial(request)));
}

function listing(): Buffer {
  const request = {
    minCpuCores: 1,
    minMemoryGb: 0.5,
    orderBy: "cpu_cores_available desc",
    pageSize: 2,
    gpuModels: ["A4000"],
  };
  return bytes(wire.ListAvailableCapacityRequest.encode(wire.ListAvailableCapacityRequest.fromPartial(request)));
}

function explain(): Buffer {
  return bytes(wire.ExplainCapacityRequest.encode(wire.ExplainCapacityRequest.fromPartial({ needs, maxAgents: 3 })));
}

function enroll({ joinToken }: Victim): Buffer {
  const request = { joinToken, agentId: stranger, hostname: "h", poolName: victimPool };
  return bytes(wire.EnrollAgentRequest.encode(wire.EnrollAgentRequest.fromPartial(request)));
}

const sample = {
  cpuMillicores: { total: 8_000, available: 7_000, offer: 8_000, declared: true },
  cpuLoad: 0.5,
  memoryMib: { total: 16_384, available: 8_000 },
  cards: [{ cardId: "GPU-0", index: 0, model: "A4000", vramMib: { total: 16_384, available: 16_000 }, utilization: 1 }],
};

function beats({ attemptId }: Victim): Buffer[] {
  const hello = {
    agentId: stranger,
    incarnation: "00000000-0000-4000-8000-0000000000e0",
    version: "0.1.0",
    hostname: "h",
    agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
    poolName: victimPool,
    labels: { a: "b" },
    sample,
  };
  const uses = [{ attemptId, fence: 1, cpuMillicores: 10, memoryMib: 10, cards: [{ cardId: "GPU-0", vramMib: 10 }] }];
  const messages: wire.HeartbeatRequest["message"][] = [
    { $case: "hello", value: wire.Hello.fromPartial(hello) },
    { $case: "beat", value: wire.Beat.fromPartial({ seq: 1, attached: true, sample: { ...sample, attempts: uses } }) },
    { $case: "beat", value: wire.Beat.fromPartial({ seq: 2, ackedSeq: 1 }) },
    { $case: "goodbye", value: { reason: wire.GoodbyeReason.GOODBYE_REASON_SHUTDOWN } },
  ];
  return messages.map((message) => bytes(wire.HeartbeatRequest.encode({ message })));
}

function works({ agentId, attemptId }: Victim): Buffer[] {
  const held = { attemptId, fence: 1 };
  const [answer, started] = [
    { ...held, accepted: true },
    { ...held, pid: 1 },
  ];
  const finished = {
    ...held,
    outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
    exitCode: 0,
    used: { cpuSeconds: 1 },
  };
  const hello = { agentId: stranger, incarnation: agentId, attempts: [held], takesItems: true };
  const messages: wire.AttachRequest["message"][] = [
    { $case: "hello", value: wire.AttachHello.fromPartial(hello) },
    { $case: "answer", value: wire.AssignmentAnswer.fromPartial(answer) },
    { $case: "started", value: wire.AttemptStarted.fromPartial(started) },
    {
      $case: "output",
      value: wire.AttemptOutput.fromPartial({ ...held, seq: 1, stream: 1, data: Buffer.from("x\n") }),
    },
    { $case: "finished", value: wire.AttemptFinished.fromPartial(finished) },
    { $case: "renew", value: wire.RenewLeases.fromPartial({ attempts: [held] }) },
    {
      $case: "reports",
      value: wire.AttemptReports.fromPartial({ reports: [{ report: { $case: "finished", value: finished } }] }),
    },
  ];
  return messages.map((message) => bytes(wire.AttachRequest.encode({ message })));
}

const plan = {
  name: "rubbish",
  priority: 1,
  labels: { a: "b" },
  tasks: [
    { name: "a", command: { argv: ["true"], env: { A: "b" } }, needs: { ...needs, pool: emptyPool }, maxAttempts: 2 },
    { name: "b", command: { argv: ["true"] }, needs: { pool: emptyPool }, dependsOn: ["a"] },
  ],
};

function dispatch(): Buffer {
  return bytes(wire.DispatchPlanRequest.encode(wire.DispatchPlanRequest.fromPartial({ plan })));
}

function preview(): Buffer {
  return bytes(wire.PreviewPlanRequest.encode(wire.PreviewPlanRequest.fromPartial({ plan })));
}

const bytes = (writer: { finish(): Uint8Array }): Buffer => Buffer.from(writer.finish());
