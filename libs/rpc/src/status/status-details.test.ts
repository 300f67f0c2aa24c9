import { describe, expect, it } from "vitest";
import { HeadroomError, invalidArgument } from "../errors.ts";
import { fromGrpcStatus, type GrpcError, toGrpcError } from "./grpc-status.ts";

/** What Java and Python take of headers is 8 KiB; some of it is for the others. */
const maxBytes = 6 * 1_024;

function headerBytes(sent: GrpcError): number {
  const headers = sent.metadata.toHttp2Headers()["grpc-status-details-bin"];
  return encodeURI(sent.details).length + String(headers).length;
}

const violationsOf = (count: number, field: string, description: string) =>
  Array.from({ length: count }, (_, index) => ({ field: `${field}[${index}]`, description }));

describe("toGrpcError", () => {
  it.each([
    ["in ASCII", "needs.gpu_min_vram_gb must be at least 0 ".repeat(10)],
    ["in Chinese", "必须是零或更大的数字".repeat(40)],
  ])("16 faults in long words %s fit into the headers that peers take", (_, words) => {
    const sent = toGrpcError(invalidArgument(violationsOf(16, `plan.tasks["${words.slice(0, 80)}"]`, words)), "r-1");
    expect(headerBytes(sent)).toBeLessThanOrEqual(maxBytes);
    const received = fromGrpcStatus(sent, undefined);
    expect(received).toMatchObject({ reason: "INVALID_REQUEST", metadata: { request_id: "r-1" } });
    expect(received?.fieldViolations.length).toBeGreaterThan(1);
  });

  it("facts in long words give way too, the id of the request last", () => {
    const metadata = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`fact_${n}`, "事实".repeat(128)]));
    const sent = toGrpcError(new HeadroomError({ code: "ABORTED", reason: "R", message: "m", metadata }), "r-2");
    expect(headerBytes(sent)).toBeLessThanOrEqual(maxBytes);
    expect(fromGrpcStatus(sent, undefined)?.metadata).toMatchObject({ request_id: "r-2", fact_0: expect.any(String) });
  });

  it("short faults all arrive", () => {
    const sent = toGrpcError(invalidArgument(violationsOf(16, "plan.tasks", "must be at least 0, not -1")), "r-3");
    expect(fromGrpcStatus(sent, undefined)?.fieldViolations).toHaveLength(16);
  });
});
