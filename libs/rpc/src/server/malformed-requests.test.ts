import { Client, credentials, status, type StatusObject } from "@grpc/grpc-js";
import { formatHostPort } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import { addressOf, onTestEnd, startServer } from "../rpc.test-helper.ts";
import { fromGrpcStatus } from "../status/grpc-status.ts";

const asIs = (bytes: Buffer): Buffer => bytes;
/** Field 0 of wire type 7: neither is there. */
const broken = Buffer.from([0x07]);

/** How a call ends whose only message is these bytes; the stream both ways is the most general kind. */
async function endOf(path: string, bytes: Buffer): Promise<StatusObject> {
  const server = await startServer();
  const client = new Client(formatHostPort(addressOf(server)), credentials.createInsecure());
  onTestEnd(() => client.close());
  return new Promise((resolve) => {
    const stream = client.makeBidiStreamRequest(path, asIs, asIs);
    stream.on("error", () => undefined);
    stream.on("status", resolve);
    stream.on("data", () => undefined);
    stream.end(bytes);
  });
}

describe("R-SHAPE-5: bytes that are no message are the caller's mistake, also outside the pipeline", () => {
  it.each([
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.health.v1.Health/List",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
  ])("%s", async (path) => {
    const error = await endOf(path, broken);
    expect(error.code, error.details).toBe(status.INVALID_ARGUMENT);
    expect(fromGrpcStatus(error, undefined)).toMatchObject({ code: "INVALID_ARGUMENT", reason: "MALFORMED_MESSAGE" });
    expect(error.details).toContain(path.slice(1));
  });

  it("a health check of a service that is not there has a reason too", async () => {
    const name = Buffer.from("nobody");
    const error = await endOf("/grpc.health.v1.Health/Check", Buffer.from([0x0a, name.length, ...name]));
    expect(fromGrpcStatus(error, undefined)).toMatchObject({ code: "NOT_FOUND", reason: "NO_SUCH_SERVICE" });
  });
});
