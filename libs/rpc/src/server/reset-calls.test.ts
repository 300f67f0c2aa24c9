import { once } from "node:events";
import { connect } from "node:net";
import { wire } from "@headroom/contracts";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createClient } from "../index.ts";
import { addressOf, agentId, onTestEnd, openChannel, startServer } from "../rpc.test-helper.ts";

const thrown: unknown[] = [];
const note = (error: unknown): void => void thrown.push(error);
beforeEach(() => void process.on("uncaughtException", note));
afterEach(() => void process.off("uncaughtException", note));

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, stream]);
  head.writeUIntBE(payload.length, 0, 3);
  return Buffer.concat([head, payload]);
}

/** Literal headers of HPACK. */
function headerBlock(contentType: string): Buffer {
  const text = (value: string): Buffer => Buffer.from([value.length, ...Buffer.from(value)]);
  const headers = {
    ":method": "POST",
    ":scheme": "http",
    ":authority": "x",
    ":path": "/a/b",
    "content-type": contentType,
  };
  return Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

it.each([
  ["a method that is not there", "application/grpc"],
  ["no content type of gRPC", "text/html"],
])("a call that is reset in the first bytes of a connection ends nothing: %s", async (_, contentType) => {
  const server = await startServer();
  const { host, port } = addressOf(server);
  const socket = connect({ host, port });
  onTestEnd(() => socket.destroy());
  socket.on("error", () => undefined);
  const calls = [1, 3, 5].flatMap((stream) => [
    frame(1, 5, stream, headerBlock(contentType)),
    frame(3, 0, stream, Buffer.from([0, 0, 0, 8])),
  ]);
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  socket.write(
    Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.alloc(0)), ...calls, ping]),
  );
  // The server's answer: it has taken all of it.
  await once(socket, "data");
  const capacity = createClient(wire.CapacityServiceService, openChannel(addressOf(server)));
  expect((await capacity.getAgentCapacity({ agentId })).agentId).toBe(agentId);
  expect(thrown).toEqual([]);
});
