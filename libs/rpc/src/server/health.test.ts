import { credentials } from "@grpc/grpc-js";
import { wire } from "@headroom/contracts";
import { formatHostPort } from "@headroom/runtime";
import { describe, expect, it, vi } from "vitest";
import { addressOf, makeServer, onTestEnd, startServer } from "../rpc.test-helper.ts";
import type { RpcServer } from "../index.ts";

const capacityService = "headroom.registry.v1.CapacityService";
const { SERVING, NOT_SERVING } = wire.HealthCheckResponse_ServingStatus;
const serviceUnknown = 3;

/** ts-proto's client against proto-loader's service: the two must speak the same wire. */
function clientOf(server: RpcServer): wire.HealthClient {
  const client = new wire.HealthClient(formatHostPort(addressOf(server)), credentials.createInsecure());
  onTestEnd(() => client.close());
  return client;
}

function check(client: wire.HealthClient, service: string): Promise<number | string> {
  return new Promise((resolve) => {
    client.check({ service }, (error, answer) =>
      resolve(error === null ? answer.status : `code ${error.code}: ${error.details}`),
    );
  });
}

describe("R-SHAPE-5: grpc.health.v1", () => {
  it("answers per service, for the whole server, and NOT_FOUND with what is known for others", async () => {
    const server = makeServer();
    server.health.set(capacityService, false);
    expect(server.health.get("")).toBe(false);
    await server.start();
    const client = clientOf(server);
    expect(await check(client, "")).toBe(SERVING);
    expect(await check(client, "headroom.registry.v1.AgentService")).toBe(SERVING);
    expect(await check(client, capacityService)).toBe(NOT_SERVING);
    server.health.set(capacityService, true);
    expect(await check(client, capacityService)).toBe(SERVING);
    expect(await check(client, "nobody")).toContain(capacityService);
    expect([...server.health.list()].every(([, serving]) => serving)).toBe(true);
  });

  it("List tells the state of every service", async () => {
    const server = await startServer();
    server.health.set(capacityService, false);
    const client = clientOf(server);
    const listed = await new Promise<wire.HealthListResponse>((resolve, reject) => {
      client.list({}, (error, answer) => (error === null ? resolve(answer) : reject(error)));
    });
    expect(listed.statuses[""]?.status).toBe(SERVING);
    expect(listed.statuses[capacityService]?.status).toBe(NOT_SERVING);
    expect(Object.keys(listed.statuses)).toHaveLength(server.health.list().size);
  });

  it("Watch tells the state, each change, and NOT_SERVING before the server stops", async () => {
    const server = await startServer();
    const client = clientOf(server);
    const seen: number[] = [];
    const stream = client.watch({ service: capacityService });
    stream.on("data", (answer: wire.HealthCheckResponse) => seen.push(answer.status));
    const ended = new Promise((resolve) => stream.on("end", resolve));
    stream.on("error", () => undefined);
    await vi.waitFor(() => expect(seen).toEqual([SERVING]), 10_000);
    server.health.set(capacityService, false);
    await vi.waitFor(() => expect(seen).toEqual([SERVING, NOT_SERVING]), 10_000);
    server.health.set(capacityService, false);
    server.health.set(capacityService, true);
    await vi.waitFor(() => expect(seen).toEqual([SERVING, NOT_SERVING, SERVING]), 10_000);
    await server.stop();
    await ended;
    expect(seen).toEqual([SERVING, NOT_SERVING, SERVING, NOT_SERVING]);
    expect(server.health.get("")).toBe(false);
  });

  it("Watch tells the last of several changes at once, and that the server stops", async () => {
    const server = await startServer();
    const stream = clientOf(server).watch({ service: capacityService });
    const seen: number[] = [];
    stream.on("data", (answer: wire.HealthCheckResponse) => seen.push(answer.status));
    const ended = new Promise((resolve) => stream.on("end", resolve));
    stream.on("error", () => undefined);
    await vi.waitFor(() => expect(seen).toEqual([SERVING]), 10_000);
    server.health.set(capacityService, false);
    server.health.set(capacityService, true);
    await vi.waitFor(() => expect(seen).toEqual([SERVING, NOT_SERVING, SERVING]), 10_000);
    server.health.set(capacityService, false);
    server.health.set(capacityService, true);
    await server.stop();
    await ended;
    expect(seen.at(-1)).toBe(NOT_SERVING);
  });

  it("Watch of a service that is not there says so and goes on", async () => {
    const server = await startServer();
    const stream = clientOf(server).watch({ service: "later" });
    const seen: number[] = [];
    stream.on("data", (answer: wire.HealthCheckResponse) => seen.push(answer.status));
    stream.on("error", () => undefined);
    await vi.waitFor(() => expect(seen).toEqual([serviceUnknown]), 10_000);
    server.health.set("later", true);
    await vi.waitFor(() => expect(seen).toEqual([serviceUnknown, SERVING]), 10_000);
    stream.cancel();
  });
});
