import { wire } from "@headroom/contracts";
import { createMetrics, systemPorts } from "@headroom/runtime";
import { describe, expect, it, vi } from "vitest";
import { createClient, HeadroomError, notFound, unavailable } from "../index.ts";
import { addressOf, agentId, openChannel, recordingLogger, startPair } from "../rpc.test-helper.ts";

/** The error that a promise rejects with. */
async function failureOf(promise: Promise<unknown>): Promise<HeadroomError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof HeadroomError)) throw new Error(`expected a HeadroomError, got ${String(error)}`);
  return error;
}

describe("unary calls through a real socket", () => {
  it("answers", async () => {
    const { capacity } = await startPair();
    const answer = await capacity.getAgentCapacity({ agentId });
    expect(answer.agentId).toBe(agentId);
    expect(answer.cpuCoresAvailable).toBe(3);
  });

  it("R-CAP-2: not a UUID answers INVALID_ARGUMENT and names the field and the value", async () => {
    const { capacity } = await startPair();
    const error = await failureOf(capacity.getAgentCapacity({ agentId: "zz" }));
    expect(error).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "INVALID_REQUEST",
      fieldViolations: [{ field: "agent_id", description: 'must be a valid UUID, not "zz"' }],
    });
    expect(error.message).toContain("agent_id");
  });

  it("R-CAP-2: an error keeps its code, reason, metadata, retry time and field violations on the way", async () => {
    const sent = new HeadroomError({
      code: "FAILED_PRECONDITION",
      reason: "SOME_REASON",
      message: "nötig: 50 % more “room”",
      metadata: { agent_id: agentId },
      retryAfterMs: 1_500,
      fieldViolations: [{ field: "needs.cpu_cores", description: "too many" }],
    });
    const { capacity } = await startPair({ capacity: { getAgentCapacity: () => Promise.reject(sent) } });
    const error = await failureOf(capacity.getAgentCapacity({ agentId }, { requestId: "req-1" }));
    expect(error).toMatchObject({
      code: sent.code,
      reason: sent.reason,
      message: sent.message,
      retryAfterMs: 1_500,
      fieldViolations: sent.fieldViolations,
      metadata: { agent_id: agentId, request_id: "req-1" },
    });
  });

  it("tells a call that gRPC tries again from one that comes for the first time", async () => {
    const repeats: boolean[] = [];
    const { capacity } = await startPair({
      capacity: {
        getAgentCapacity: (_request, { isRepeat }) => {
          repeats.push(isRepeat);
          if (repeats.length === 1) return Promise.reject(unavailable("AWAY", "away", 1));
          return Promise.resolve(wire.GetAgentCapacityResponse.create({ agentId }));
        },
      },
    });
    expect((await capacity.getAgentCapacity({ agentId })).agentId).toBe(agentId);
    expect(repeats).toEqual([false, true]);
  });

  it("R-CAP-2: unknown agent is NOT_FOUND", async () => {
    const { capacity } = await startPair({
      capacity: { getAgentCapacity: () => Promise.reject(notFound("AGENT_NOT_FOUND", "no agent")) },
    });
    expect(await failureOf(capacity.getAgentCapacity({ agentId }))).toMatchObject({
      code: "NOT_FOUND",
      reason: "AGENT_NOT_FOUND",
    });
  });

  it("an unknown error says nothing of the inside, and is logged with its stack under the request id", async () => {
    const { logger, records } = recordingLogger();
    const secret = new Error("password=hunter2 at /etc/inside");
    const { capacity } = await startPair({ capacity: { getAgentCapacity: () => Promise.reject(secret) } }, { logger });
    const error = await failureOf(capacity.getAgentCapacity({ agentId }, { requestId: "req-42" }));
    expect(error).toMatchObject({ code: "INTERNAL", reason: "INTERNAL" });
    expect(error.message).toBe("internal error; ask the operator to look for request_id req-42 in the log");
    const record = records().find((each) => each["level"] === "error");
    expect(record).toMatchObject({
      request_id: "req-42",
      rpc_method: "headroom.registry.v1.CapacityService/GetAgentCapacity",
    });
    expect(JSON.stringify(record)).toContain("unary.test.ts");
  });

  it("a handler that throws before it returns a promise is mapped too", async () => {
    const { capacity } = await startPair({
      capacity: {
        getAgentCapacity: () => {
          throw new TypeError("at once");
        },
      },
    });
    expect(await failureOf(capacity.getAgentCapacity({ agentId }))).toMatchObject({ code: "INTERNAL" });
  });

  it("R-PAUSE-9: a service translates its database's errors in one place", async () => {
    let calls = 0;
    const { capacity } = await startPair(
      {
        capacity: {
          reserveCapacity: () => Promise.reject(new Error("ECONNREFUSED")),
          getAgentCapacity: () => {
            calls += 1;
            return Promise.reject(new Error("ECONNREFUSED"));
          },
        },
      },
      {
        mapError: (error) =>
          error instanceof Error && error.message === "ECONNREFUSED"
            ? unavailable("DATABASE_UNAVAILABLE", "no database", 2_000)
            : null,
      },
    );
    const error = await failureOf(capacity.getAgentCapacity({ agentId }));
    expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE", retryAfterMs: 2_000 });
    // NO_SIDE_EFFECTS by the .proto, so it was tried again.
    expect(calls).toBe(4);
  });

  it("retries UNAVAILABLE until it succeeds, and nothing that has side effects", async () => {
    let reads = 0;
    let enrolments = 0;
    const { capacity, agent } = await startPair({
      capacity: {
        getAgentCapacity: () => {
          reads += 1;
          if (reads < 3) return Promise.reject(unavailable("NOT_YET", "not yet", 10));
          return Promise.resolve(wire.GetAgentCapacityResponse.fromPartial({}));
        },
      },
      agent: {
        enrollAgent: () => {
          enrolments += 1;
          return Promise.reject(unavailable("NOT_YET", "not yet", 10));
        },
      },
    });
    await capacity.getAgentCapacity({ agentId });
    expect(reads).toBe(3);
    expect(
      await failureOf(agent.enrollAgent(wire.EnrollAgentRequest.fromPartial({ joinToken: "x", agentId }))),
    ).toMatchObject({
      reason: "NOT_YET",
    });
    expect(enrolments).toBe(1);
  });

  it("a handler that never answers ends at the deadline, and its signal aborts", async () => {
    let signal: AbortSignal | undefined;
    const { capacity } = await startPair({
      capacity: {
        getAgentCapacity: (_request, context) => {
          signal = context.signal;
          expect(context.deadlineLeftMs).toBeGreaterThan(0);
          return new Promise(() => undefined);
        },
      },
    });
    const error = await failureOf(capacity.getAgentCapacity({ agentId }, { deadlineMs: 300 }));
    expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" });
    await vi.waitFor(() => expect(signal?.aborted).toBe(true), 10_000);
  });

  it("deadlines hold whatever the clocks that the two ends are given say", async () => {
    const hoursAway = (hours: number) => {
      const { clock } = systemPorts;
      const now = (): number => clock.now() + hours * 3_600_000;
      return { ports: { ...systemPorts, clock: { now, monotonic: () => clock.monotonic() } } };
    };
    for (const [server, client] of [
      [3, -8],
      [-8, 3],
    ] as const) {
      const { capacity } = await startPair({}, hoursAway(server), hoursAway(client));
      expect((await capacity.getAgentCapacity({ agentId }, { deadlineMs: 10_000 })).agentId).toBe(agentId);
    }
  });

  it("a caller that cancels gets CANCELLED at once, and the handler's signal aborts", async () => {
    const abort = new AbortController();
    let signal: AbortSignal | undefined;
    const { capacity } = await startPair({
      capacity: {
        getAgentCapacity: (_request, context) => {
          signal = context.signal;
          abort.abort(new Error("changed my mind"));
          return new Promise(() => undefined);
        },
      },
    });
    expect(await failureOf(capacity.getAgentCapacity({ agentId }, { signal: abort.signal }))).toMatchObject({
      code: "CANCELLED",
      reason: "CANCELLED",
    });
    await vi.waitFor(() => expect(signal?.aborted).toBe(true), 10_000);
    expect(await failureOf(capacity.getAgentCapacity({ agentId }, { signal: abort.signal }))).toMatchObject({
      code: "CANCELLED",
    });
  });

  it("a request beyond the limit is RESOURCE_EXHAUSTED with the limit named, and the server goes on", async () => {
    const { server, capacity } = await startPair({}, { maxMessageBytes: 64 * 1_024 });
    const roomy = createClient(wire.AgentServiceService, openChannel(addressOf(server)));
    const error = await failureOf(
      roomy.enrollAgent(wire.EnrollAgentRequest.fromPartial({ joinToken: "x".repeat(100_000), agentId })),
    );
    expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "MESSAGE_TOO_LARGE" });
    expect(error.message).toContain("65536");
    await capacity.getAgentCapacity({ agentId });
  });

  it("an answer beyond the limit is RESOURCE_EXHAUSTED with the way out", async () => {
    const { capacity } = await startPair(
      {
        capacity: {
          getAgentCapacity: () =>
            Promise.resolve(wire.GetAgentCapacityResponse.fromPartial({ hostname: "x".repeat(100_000) })),
        },
      },
      { maxMessageBytes: 64 * 1_024 },
    );
    const error = await failureOf(capacity.getAgentCapacity({ agentId }));
    expect(error).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "MESSAGE_TOO_LARGE",
      metadata: { limit_bytes: "65536" },
    });
    expect(error.message).toContain("page_size");
  });

  it("a huge error message and many violations still arrive", async () => {
    const fieldViolations = Array.from({ length: 500 }, (_, index) => ({
      field: `plan.tasks[${index}].name`,
      description: "ü".repeat(500),
    }));
    const sent = new HeadroomError({
      code: "INVALID_ARGUMENT",
      reason: "MANY",
      message: `lone \uD800 ${"ü".repeat(50_000)}`,
      fieldViolations,
    });
    const { capacity } = await startPair({ capacity: { getAgentCapacity: () => Promise.reject(sent) } });
    const error = await failureOf(capacity.getAgentCapacity({ agentId }));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "MANY" });
    expect(error.fieldViolations[0]?.field).toBe("plan.tasks[0].name");
    expect(error.fieldViolations.length).toBeGreaterThan(5);
  });

  it("a request id that cannot stand in a log is replaced", async () => {
    const seen: string[] = [];
    const { capacity } = await startPair({
      capacity: {
        getAgentCapacity: (_request, context) => {
          seen.push(context.requestId);
          return Promise.resolve(wire.GetAgentCapacityResponse.fromPartial({}));
        },
      },
    });
    await capacity.getAgentCapacity({ agentId }, { requestId: "good-1" });
    await capacity.getAgentCapacity({ agentId }, { requestId: `bad id ${"x".repeat(300)}` });
    expect(seen[0]).toBe("good-1");
    expect(seen[1]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("counts and times calls by method and code", async () => {
    const metrics = createMetrics({ processMetrics: false });
    const { capacity } = await startPair({}, { metrics });
    await capacity.getAgentCapacity({ agentId });
    await failureOf(capacity.getAgentCapacity({ agentId: "no" }));
    const { body } = await metrics.render();
    const name = 'rpc_method="headroom.registry.v1.CapacityService/GetAgentCapacity"';
    expect(body).toContain(`rpc_server_call_duration_seconds_count{${name},rpc_response_status_code="OK"} 1`);
    expect(body).toContain(
      `rpc_server_call_duration_seconds_count{${name},rpc_response_status_code="INVALID_ARGUMENT"} 1`,
    );
    expect(body).toContain(`rpc_server_open_calls{${name}} 0`);
  });
});
