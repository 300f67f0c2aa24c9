import { HeadroomError } from "@headroom/rpc";
import { captureLogger, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { keepConnected, type SessionEnd } from "./keep-connected.ts";

const silent = (reason: string): SessionEnd => ({
  wasUp: false,
  error: new HeadroomError({ code: "UNAVAILABLE", reason, message: "nobody listens" }),
  reconnectWithinMs: null,
});

describe("keepConnected", () => {
  it("says in one line, without a stack, that a stream ended, and does not repeat it", async () => {
    const ports = manualPorts();
    const logger = captureLogger();
    const ends = [silent("UNREACHABLE"), silent("UNREACHABLE"), silent("GOING_AWAY")];
    const service = keepConnected({
      name: "heartbeat",
      ports,
      logger,
      session: (signal) => {
        const end = ends.shift();
        if (end !== undefined) return Promise.resolve(end);
        return new Promise((resolve) =>
          signal.addEventListener("abort", () => resolve({ ...silent(""), error: null })),
        );
      },
    });
    await service.start();
    for (let turn = 0; turn < 3; turn += 1) await ports.advance(120_000);
    await service.stop("test");
    const told = logger.records.filter(({ level }) => level === "info");
    expect(told.map(({ message }) => message)).toEqual([
      "heartbeat: the stream ended; coming back: nobody listens",
      "heartbeat: the stream ended; coming back: nobody listens",
    ]);
    expect(told.map(({ fields }) => fields)).toMatchObject([
      { reason: "UNREACHABLE", failures: 1 },
      { reason: "GOING_AWAY", failures: 3 },
    ]);
    for (const { fields } of told) expect(fields).not.toHaveProperty("err");
  });
});
