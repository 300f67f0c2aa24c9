import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Client, credentials, Metadata, status, type StatusObject } from "@grpc/grpc-js";
import { wire } from "@headroom/contracts";
import { formatHostPort } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import type { ServiceDefinition } from "../definition.ts";
import { bindService, type Implementation, unimplemented } from "../index.ts";
import { addressOf, agentId, onTestEnd, startServer, token } from "../rpc.test-helper.ts";
import { fromGrpcStatus } from "../status/grpc-status.ts";

const asIs = (bytes: Buffer): Buffer => bytes;

/** Of a service of which no call gets as far as its handler; a stream would be read, and say nothing. */
function unheard<D extends ServiceDefinition>(definition: D): Implementation<D> {
  const answer = async function* (): AsyncGenerator {
    yield await Promise.reject(unimplemented("this"));
  };
  const methods = Object.entries(definition).map(([name, { requestStream, responseStream }]) => {
    if (requestStream) return [name, () => undefined];
    return [name, responseStream ? answer : () => Promise.reject(unimplemented("this"))];
  });
  return Object.fromEntries(methods) as Implementation<D>;
}

/** How a call ends whose only message is these bytes. */
async function endOf(path: string, bytes: Uint8Array): Promise<StatusObject> {
  const services = [
    bindService(wire.CapacityServiceService, unheard(wire.CapacityServiceService)),
    bindService(wire.PlanServiceService, unheard(wire.PlanServiceService)),
  ];
  const server = await startServer({}, { services });
  const client = new Client(formatHostPort(addressOf(server)), credentials.createInsecure());
  onTestEnd(() => client.close());
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return new Promise((resolve) => {
    const stream = client.makeBidiStreamRequest(path, asIs, asIs, metadata);
    stream.on("error", () => undefined);
    stream.on("status", resolve);
    stream.on("data", () => undefined);
    stream.end(Buffer.from(bytes));
  });
}

const fieldsOf = (error: StatusObject): readonly string[] =>
  (fromGrpcStatus(error, undefined)?.fieldViolations ?? []).map(({ field }) => field);

/** An id and a number, fields 1 and 2, as Reserve, FencedAttempt and WatchPlanRequest begin. */
const numbered = (number: string): Uint8Array =>
  new BinaryWriter().uint32(0x0a).string(agentId).uint32(0x10).int64(number).finish();
/** In a list that is field 1. */
const listed = (bytes: Uint8Array): Uint8Array => new BinaryWriter().uint32(0x0a).bytes(bytes).finish();

const capacity = "/headroom.registry.v1.CapacityService";
const cases = [
  [`${capacity}/ReserveCapacity`, "reservations[0].fence", (number: string) => listed(numbered(number))],
  [`${capacity}/RenewReservations`, "attempts[0].fence", (number: string) => listed(numbered(number))],
  [`${capacity}/ReleaseCapacity`, "attempts[0].fence", (number: string) => listed(numbered(number))],
  ["/headroom.orchestrator.v1.PlanService/WatchPlan", "after_event_id", numbered],
] as const;

describe("R-SHAPE-5: an integer beyond 2^53 - 1, which no number of JavaScript holds, is the fault of its field", () => {
  it.each(cases)("%s: %s", async (path, field, bytesOf) => {
    for (const number of ["9007199254740992", "9223372036854775807", "-9223372036854775808"]) {
      const error = await endOf(path, bytesOf(number));
      expect(error.code, error.details).toBe(status.INVALID_ARGUMENT);
      expect(fromGrpcStatus(error, undefined)?.reason).toBe("INVALID_REQUEST");
      expect(fieldsOf(error)).toContain(field);
    }
    expect(fieldsOf(await endOf(path, bytesOf("9007199254740991")))).not.toContain(field);
  });
});
