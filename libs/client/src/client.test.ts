import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { HeadroomError, notFound } from "@headroom/rpc";
import type { Ports } from "@headroom/runtime";
import { makeTempDir, manualPorts, waitFor } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import { createHeadroomClient, type HeadroomClient } from "./client.ts";
import { endpointsFile } from "./endpoints.ts";
import { away, type Fakes, fakeToken, startFakeServices } from "./fake-services.test-helper.ts";
import type { DispatchSettings, RetrySettings } from "./plans.ts";
import type { WatchItem } from "./watch-stream.ts";

const planId = "11111111-1111-4111-8111-111111111111";
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function clientOf(fakes: Fakes, token: string | null = fakeToken, ports?: Ports): Promise<HeadroomClient> {
  const services = await startFakeServices(fakes);
  cleanups.push(() => services.stop());
  const client = createHeadroomClient(
    {
      registry: services.address,
      orchestrator: services.address,
      dataDir: "/nowhere/at/all",
      ...(token !== null && { token }),
    },
    { env: {}, ...(ports !== undefined && { ports }) },
  );
  cleanups.push(() => client.close());
  return client;
}

const finishedPlan = wire.Plan.create({ planId, status: wire.PlanStatus.PLAN_STATUS_SUCCEEDED });
const event = (
  eventId: number,
  status: wire.PlanStatus = wire.PlanStatus.PLAN_STATUS_DISPATCHED,
): wire.WatchPlanResponse => ({
  event: wire.PlanEvent.create({ eventId, planId }),
  plan: wire.Plan.create({ planId, status }),
});

async function collect<T>(items: AsyncIterable<WatchItem<T>>): Promise<WatchItem<T>[]> {
  const all: WatchItem<T>[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("results", () => {
  it("R-CAP-8: tells where the most VRAM is free", async () => {
    let asked: wire.ListAvailableCapacityRequest | undefined;
    const client = await clientOf({
      capacity: {
        listAvailableCapacity: (request) => {
          asked = request;
          const agents = [wire.AgentCapacity.create({ agentId: "a", gpuVramAvailableGb: 20 })];
          return Promise.resolve(wire.ListAvailableCapacityResponse.create({ agents }));
        },
      },
    });
    const answer = await client.capacity.listAvailable({ minGpuVramGb: 8 });
    expect(asked?.minGpuVramGb).toBe(8);
    expect(answer).toMatchObject({ kind: "ok", value: { agents: [{ agentId: "a", gpuVramAvailableGb: 20 }] } });
  });

  it("R-CAP-2: answers an unknown agent as an error that a program can switch on", async () => {
    const client = await clientOf({
      fleet: { getAgent: ({ agentId }) => Promise.reject(notFound("AGENT_NOT_FOUND", `no agent ${agentId}`)) },
    });
    const answer = await client.fleet.get(planId);
    expect(answer).toMatchObject({
      kind: "error",
      error: { kind: "not_found", code: "NOT_FOUND", reason: "AGENT_NOT_FOUND" },
    });
  });

  it("R-CAP-2: names the field of a request that is not valid", async () => {
    const client = await clientOf({ fleet: { getAgent: () => Promise.reject(away()) } });
    const answer = await client.fleet.get("not-a-uuid");
    expect(answer).toMatchObject({
      kind: "error",
      error: { kind: "invalid", fieldViolations: [{ field: "agent_id" }] },
    });
  });

  it("says how to start a service that does not run", async () => {
    const free = await freePort();
    const client = createHeadroomClient({ registry: `127.0.0.1:${free}`, token: fakeToken }, { env: {} });
    cleanups.push(() => client.close());
    const answer = await client.capacity.listAvailable();
    expect(answer).toMatchObject({ kind: "error", error: { kind: "unavailable" } });
    expect(answer.kind === "error" && answer.error.message).toMatch(/headroom up.*--registry HOST:PORT/);
  });

  it("a closed client answers cancelled", async () => {
    const client = await clientOf({});
    client.close();
    client.close();
    expect(await client.queue.status()).toMatchObject({ kind: "error", error: { kind: "cancelled" } });
  });
});

describe("dispatch", () => {
  it("repeats a call whose answer was lost with the same request id, so that nothing is accepted twice", async () => {
    const requestIds: string[] = [];
    const client = await clientOf({
      plans: {
        dispatchPlan: ({ requestId }) => {
          requestIds.push(requestId);
          return requestIds.length < 3
            ? Promise.reject(away())
            : Promise.resolve(wire.DispatchPlanResponse.create({ planId, duplicate: true }));
        },
      },
    });
    const answer = await client.plans.dispatch({ name: "a", tasks: [{ name: "t", command: { argv: ["true"] } }] });
    expect(answer).toMatchObject({ kind: "ok", value: { planId } });
    expect(requestIds).toHaveLength(3);
    expect(new Set(requestIds).size).toBe(1);
    expect(requestIds[0]).toMatch(/^[0-9a-f-]{36}$/);
  });

  /** Each accepts once for an id, and answers with what `outcome` says. */
  const repeatable = {
    dispatch: (plans: HeadroomClient["plans"], settings: DispatchSettings) =>
      plans.dispatch({ name: "a", tasks: [{ name: "t", command: { argv: ["true"] } }] }, settings),
    retry: (plans: HeadroomClient["plans"], settings: RetrySettings) => plans.retry(planId, settings),
  };
  type Asked = { readonly requestId: string; readonly deadlineLeftMs: number | null };
  const answering = (outcome: (asked: Asked) => Promise<void>): Fakes => ({
    plans: {
      dispatchPlan: async ({ requestId }, { deadlineLeftMs }) => {
        await outcome({ requestId, deadlineLeftMs });
        return wire.DispatchPlanResponse.create({ planId });
      },
      retryPlan: async ({ requestId }, { deadlineLeftMs }) => {
        await outcome({ requestId, deadlineLeftMs });
        return wire.RetryPlanResponse.create();
      },
    },
  });

  describe.each(["dispatch", "retry"] as const)("%s", (name) => {
    const call = repeatable[name];

    it("R-PAUSE-8: an error tells the id with which the call is repeated, made by the client or given", async () => {
      const asked = new Set<string>();
      let isAway = true;
      const client = await clientOf(
        answering(({ requestId }) => {
          asked.add(requestId);
          return isAway ? Promise.reject(away()) : Promise.resolve();
        }),
      );
      const failed = await call(client.plans, {});
      expect(failed).toMatchObject({ kind: "error", error: { kind: "unavailable", requestId: [...asked][0] } });
      isAway = false;
      const requestId = failed.kind === "error" ? (failed.error.requestId ?? "") : "";
      expect(await call(client.plans, { requestId })).toMatchObject({ kind: "ok" });
      expect([...asked]).toEqual([requestId]);
      isAway = true;
      const given = await call(client.plans, { requestId: planId });
      expect(given).toMatchObject({ kind: "error", error: { requestId: planId } });
      client.close();
      expect(await call(client.plans, { requestId })).toMatchObject({ error: { kind: "cancelled", requestId } });
    });

    it("all tries together take no longer than the call may", async () => {
      const ports = manualPorts();
      const leftMs: (number | null)[] = [];
      const client = await clientOf(
        answering(({ deadlineLeftMs }) => {
          leftMs.push(deadlineLeftMs);
          ports.clock.pass(3_000);
          return Promise.reject(away());
        }),
        fakeToken,
        ports,
      );
      const answer = call(client.plans, { timeoutMs: 6_500 });
      await waitFor(() => ports.timers.pendingDelays().includes(200));
      await ports.advance(200);
      // 300 ms are left, and the next try would come after 800.
      expect(await answer).toMatchObject({ kind: "error", error: { kind: "unavailable" } });
      expect(leftMs).toHaveLength(2);
      expect(leftMs[1]).toBeLessThanOrEqual(3_300);
    });
  });
});

describe("watch", () => {
  it("goes on behind the last event after an interruption, each event once", async () => {
    const askedAfter: number[] = [];
    const client = await clientOf({
      plans: {
        async *watchPlan({ afterEventId }) {
          askedAfter.push(afterEventId);
          if (askedAfter.length === 1) {
            yield event(1);
            yield event(2);
            throw away();
          }
          // An event too many is left out by the client.
          yield event(2);
          yield event(3, wire.PlanStatus.PLAN_STATUS_SUCCEEDED);
        },
      },
    });
    const items = await collect(client.plans.watch(planId));
    expect(askedAfter).toEqual([0, 2]);
    expect(items.map((item) => (item.kind === "item" ? item.value.event?.eventId : item.kind))).toEqual([
      1,
      2,
      "interrupted",
      3,
    ]);
  });

  it("ends when the plan has ended before the point asked for", async () => {
    const client = await clientOf({
      plans: {
        async *watchPlan() {},
        getPlan: () => Promise.resolve({ plan: finishedPlan }),
      },
    });
    expect(await collect(client.plans.watch(planId, { afterEventId: 9 }))).toEqual([]);
  });

  it.each([
    ["a refusal that says when to come back", "RESOURCE_EXHAUSTED", 20],
    ["a cancellation that nobody here asked for", "CANCELLED", undefined],
  ] as const)("goes on after %s", async (_, code, retryAfterMs) => {
    let calls = 0;
    const client = await clientOf({
      plans: {
        async *watchPlan() {
          calls += 1;
          if (calls === 1) {
            throw new HeadroomError({
              code,
              reason: "BUSY",
              message: "not now",
              ...(retryAfterMs !== undefined && { retryAfterMs }),
            });
          }
          yield event(1, wire.PlanStatus.PLAN_STATUS_SUCCEEDED);
        },
      },
    });
    const kinds = (await collect(client.plans.watch(planId))).map(({ kind }) => kind);
    expect(kinds).toEqual(["interrupted", "item"]);
  });

  it("ends when its client is closed", async () => {
    const client = await clientOf({
      plans: {
        async *watchPlan(_request, { signal }) {
          yield event(1);
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        },
      },
    });
    const seen: string[] = [];
    for await (const item of client.plans.watch(planId)) {
      seen.push(item.kind);
      client.close();
    }
    expect(seen).toEqual(["item", "failed"]);
  });

  it("fails at once where trying again cannot help", async () => {
    const client = await clientOf({
      plans: {
        // eslint-disable-next-line require-yield
        async *watchPlan() {
          throw notFound("PLAN_NOT_FOUND", "no such plan");
        },
      },
    });
    expect(await collect(client.plans.watch(planId))).toMatchObject([{ kind: "failed", error: { kind: "not_found" } }]);
  });

  it("ends quietly when its signal aborts", async () => {
    const stop = new AbortController();
    const client = await clientOf({
      plans: {
        async *watchPlan(_request, { signal }) {
          yield event(1);
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        },
      },
    });
    const seen: string[] = [];
    for await (const item of client.plans.watch(planId, { signal: stop.signal })) {
      seen.push(item.kind);
      stop.abort();
    }
    expect(seen).toEqual(["item"]);
  });

  it("streams output without a byte twice", async () => {
    const piece = (seq: number, text: string, stream: wire.OutputStream): wire.StreamTaskLogsResponse =>
      wire.StreamTaskLogsResponse.create({ attemptId: planId, seq, stream, data: Buffer.from(text) });
    const { OUTPUT_STREAM_STDOUT: out, OUTPUT_STREAM_STDERR: err } = wire.OutputStream;
    let calls = 0;
    const client = await clientOf({
      plans: {
        async *streamTaskLogs({ attemptId }) {
          calls += 1;
          expect(attemptId).toBe(calls === 1 ? "" : planId);
          // The second time the first piece is gone, as the middle of a long output may be.
          if (calls === 1) yield piece(1, "one ", out);
          yield piece(2, "ERR", err);
          if (calls === 1) throw away();
          yield piece(4, "two", out);
        },
      },
    });
    const items = await collect(client.tasks.logs(planId, { follow: true }));
    const texts = items.map((item) => (item.kind === "item" ? item.value.data.toString() : item.kind));
    expect(texts).toEqual(["one ", "ERR", "interrupted", "two"]);
  });
});

describe("token and addresses", () => {
  it("finds both in the data folder, and a token that appears later", async () => {
    const services = await startFakeServices({
      queue: { resumePausedWork: () => Promise.resolve({ resumedTasks: 1, waitingTasks: 0 }) },
    });
    cleanups.push(() => services.stop());
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    const file = endpointsFile(dir.path);
    await mkdir(join(dir.path, "run"));
    const endpoints = { registry: services.address, orchestrator: services.address, pid: process.pid };
    await writeFile(file, JSON.stringify(endpoints));
    const client = createHeadroomClient({}, { env: { HEADROOM_DATA_DIR: dir.path } });
    cleanups.push(() => client.close());
    expect(client.connection.orchestrator).toBe(services.address);
    expect(await client.queue.resume()).toMatchObject({ kind: "error", error: { kind: "unauthenticated" } });
    await writeFile(join(dir.path, "token"), `${fakeToken}\n`, { mode: 0o600 });
    expect(await client.queue.resume()).toMatchObject({ kind: "ok", value: { resumedTasks: 1 } });
  });

  it("takes no addresses from a process that is gone", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    await mkdir(join(dir.path, "run"));
    await writeFile(endpointsFile(dir.path), JSON.stringify({ registry: "h:1", orchestrator: "h:2", pid: 2 ** 30 }));
    const client = createHeadroomClient({}, { env: { HEADROOM_DATA_DIR: dir.path } });
    expect(client.connection).toMatchObject({ registry: "127.0.0.1:7401", orchestrator: "127.0.0.1:7411" });
  });

  it("with a token file that it may not read it still looks at the fleet, and says of all else what it may not read", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    // Root may read every file; nobody can read a folder as one.
    const path = join(dir.path, "token");
    await mkdir(path);
    const services = await startFakeServices({
      capacity: { listAvailableCapacity: () => Promise.resolve(wire.ListAvailableCapacityResponse.create()) },
    });
    cleanups.push(() => services.stop());
    const { address } = services;
    const client = createHeadroomClient({ registry: address, orchestrator: address, dataDir: dir.path }, { env: {} });
    cleanups.push(() => client.close());
    expect(await client.capacity.listAvailable()).toMatchObject({ kind: "ok" });
    const message = expect.stringMatching(new RegExp(`${path} cannot be read: .*; name one that .* --token-file`));
    const unreadable = { kind: "unauthenticated", reason: "TOKEN_FILE", message };
    expect(await client.plans.get(planId)).toMatchObject({ kind: "error", error: unreadable });
    expect(await collect(client.plans.watch(planId))).toMatchObject([{ kind: "failed", error: unreadable }]);
    const named = createHeadroomClient({ registry: address, tokenFile: path }, { env: {} });
    cleanups.push(() => named.close());
    expect(await named.capacity.listAvailable()).toMatchObject({ kind: "error", error: unreadable });
  });

  it("DESIGN-6: shows the token of the data folder to services of this machine only, unless somebody named it", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    const tokenFile = join(dir.path, "token");
    await writeFile(tokenFile, fakeToken, { mode: 0o600 });
    const services = await startFakeServices({
      capacity: { listAvailableCapacity: () => Promise.resolve(wire.ListAvailableCapacityResponse.create()) },
    });
    cleanups.push(() => services.stop());
    // Another name of the same place: a name other than localhost may be anybody's.
    const address = services.address.replace("127.0.0.1", "0");
    const reasonOf = async (options: object): Promise<unknown> => {
      const client = createHeadroomClient({ ...options, dataDir: dir.path }, { env: {} });
      cleanups.push(() => client.close());
      expect(await client.capacity.listAvailable()).toMatchObject({ kind: "ok" });
      const answer = await client.plans.get(planId);
      return answer.kind === "error" ? `${answer.error.reason}: ${answer.error.message}` : answer.kind;
    };
    const both = { registry: address, orchestrator: address };
    expect(await reasonOf(both)).toMatch(
      /TOKEN_FILE: .*not shown to the orchestrator at 0:\d+; .* HEADROOM_TOKEN_FILE/,
    );
    for (const meant of [
      { ...both, tokenFile },
      { ...both, token: fakeToken },
      { registry: address, orchestrator: services.address },
    ])
      expect(await reasonOf(meant)).not.toContain("TOKEN");
    const tls = { caFile: "ca.pem", names: { certFile: "", keyFile: "" } };
    const { connection } = createHeadroomClient({ ...both, tls }, { env: {} });
    expect(connection.strangers).toEqual([]);
  });

  it("refuses a token file that others can read, and one that was named and is not there", async () => {
    const dir = await makeTempDir("client");
    cleanups.push(() => dir.remove());
    const tokenFile = join(dir.path, "token");
    const open = createHeadroomClient({ tokenFile }, { env: {} });
    expect(await open.queue.status()).toMatchObject({
      kind: "error",
      error: { kind: "unauthenticated", reason: "TOKEN_FILE" },
    });
    await writeFile(tokenFile, fakeToken);
    await chmod(tokenFile, 0o644);
    expect(await open.queue.status()).toMatchObject({ kind: "error", error: { reason: "TOKEN_FILE" } });
  });

  it("the options win over the environment, and a wrong address says how it is written", () => {
    const env = {
      HEADROOM_REGISTRY_ADDR: "a:1",
      HEADROOM_ORCHESTRATOR_ADDR: "b:2",
      HEADROOM_TOKEN: "secret-token-of-the-environment",
    };
    const { connection } = createHeadroomClient({ registry: "c:3" }, { env });
    expect(connection).toMatchObject({ registry: "c:3", orchestrator: "b:2", token: { kind: "given" } });
    expect(() => createHeadroomClient({ registry: "nonsense" }, { env })).toThrow(/HEADROOM_REGISTRY_ADDR.*HOST:PORT/s);
  });

  it("a token in the environment that no call could show is refused at once", () => {
    const env = { HEADROOM_TOKEN: "correct horse battery staple" };
    expect(() => createHeadroomClient({}, { env })).toThrow(/HEADROOM_TOKEN is no token that callers can show \(16 to/);
    expect(createHeadroomClient({ tokenFile: "/x" }, { env }).connection.token).toMatchObject({ path: "/x" });
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
