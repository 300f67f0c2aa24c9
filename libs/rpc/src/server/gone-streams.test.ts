import { constants, connect } from "node:http2";
import { wire } from "@headroom/contracts";
import { formatHostPort } from "@headroom/runtime";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createClient } from "../index.ts";
import { addressOf, agentId, onTestEnd, openChannel, startServer } from "../rpc.test-helper.ts";

const thrown: unknown[] = [];
const note = (error: unknown): void => void thrown.push(error);
beforeEach(() => void process.on("uncaughtException", note));
afterEach(() => void process.off("uncaughtException", note));

it.each([
  ["a method that is not there", { ":path": "/no.such.Service/Method", "content-type": "application/grpc" }],
  ["no content type of gRPC", { ":path": "/no.such.Service/Method", "content-type": "text/html" }],
])("calls that are reset before they are heard of end nothing: %s", async (_, headers) => {
  const server = await startServer();
  const session = connect(`http://${formatHostPort(addressOf(server))}`);
  session.on("error", () => undefined);
  onTestEnd(() => session.destroy());
  const resets = Array.from({ length: 200 }, () => {
    const stream = session.request({ ":method": "POST", ...headers });
    stream.on("error", () => undefined);
    stream.close(constants.NGHTTP2_CANCEL);
    return new Promise((resolve) => stream.once("close", resolve));
  });
  await Promise.all(resets);
  const capacity = createClient(wire.CapacityServiceService, openChannel(addressOf(server)));
  expect((await capacity.getAgentCapacity({ agentId })).agentId).toBe(agentId);
  expect(thrown).toEqual([]);
});
