import type { wire } from "@headroom/contracts";
import { type DuplexStream, HeadroomError } from "@headroom/rpc";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { tellFirstWelcome } from "./first-welcome.ts";
import { rememberFailures } from "./last-failure.ts";
import type { Connections } from "./open-stream.ts";

const refused = new HeadroomError({
  code: "UNAVAILABLE",
  reason: "SERVER_UNREACHABLE",
  message: "nothing answers at 127.0.0.1:9 (connect ECONNREFUSED 127.0.0.1:9); start it",
});
const refusedElsewhere = new HeadroomError({
  code: "UNAVAILABLE",
  reason: "SERVER_UNREACHABLE",
  message: "nothing answers at 127.0.0.1:9 (connect ECONNREFUSED ::1:9); start it",
});
const wrongToken = new HeadroomError({
  code: "UNAUTHENTICATED",
  reason: "TOKEN_INVALID",
  message: "the token is wrong; take another",
});

function told(options: { isOnline?: boolean } = {}) {
  const ports = manualPorts();
  const lines: string[] = [];
  const stop = new AbortController();
  const state = { isOnline: options.isOnline ?? false, failure: null as HeadroomError | null };
  const ended = tellFirstWelcome({
    ports,
    registry: "127.0.0.1:9",
    isOnline: () => state.isOnline,
    lastFailure: () => state.failure,
    say: (line) => lines.push(line),
    signal: stop.signal,
  });
  return { ports, lines, stop, state, ended };
}

describe("whoever starts an agent", () => {
  it("is told why it is not connected, once for each reason, and when it is", async () => {
    const { ports, lines, state, ended } = told();
    state.failure = refused;
    await ports.advance(5_000);
    state.failure = refusedElsewhere;
    await ports.advance(5_000);
    state.failure = wrongToken;
    await ports.advance(5_000);
    state.isOnline = true;
    await ports.advance(1_000);
    await ended;
    expect(lines).toEqual([
      "not connected to the registry at 127.0.0.1:9 yet: it has not answered",
      "not connected to the registry at 127.0.0.1:9 yet: nothing answers there (connect ECONNREFUSED 127.0.0.1:9); the agent keeps trying",
      "not connected to the registry at 127.0.0.1:9 yet: the token is wrong",
      "connected to the registry at 127.0.0.1:9",
    ]);
  });

  it("is told nothing of one that is connected, nor after its end", async () => {
    const online = told({ isOnline: true });
    await online.ended;
    expect(online.lines).toEqual([]);
    const stopped = told();
    stopped.stop.abort();
    await stopped.ended;
    expect(stopped.lines).toHaveLength(1);
  });
});

describe("connections that remember", () => {
  it("why the newest stream to the registry has ended, until it speaks again", async () => {
    const handlers: {
      message?: (message: wire.HeartbeatResponse) => unknown;
      close?: (error: HeadroomError | null) => void;
    } = {};
    const ignore = (): void => undefined;
    const stream: DuplexStream<wire.HeartbeatResponse, wire.HeartbeatRequest> = {
      onMessage: (handler) => void (handlers.message = handler),
      onClose: (handler) => void (handlers.close = handler),
      onPeerEnd: ignore,
      onDrain: ignore,
      send: () => true,
      end: ignore,
      fail: ignore,
    };
    const connections: Connections = {
      openHeartbeat: () => Promise.resolve(() => stream),
      openAttach: () => Promise.reject(refused),
      enroll: () => Promise.reject(refused),
      close: ignore,
    };
    const remembered = rememberFailures(connections);
    const opened = (await remembered.openHeartbeat())();
    const closed: unknown[] = [];
    opened.onMessage(ignore);
    opened.onClose((error) => closed.push(error));
    handlers.close?.(refused);
    expect([remembered.lastFailure(), closed]).toEqual([refused, [refused]]);
    handlers.message?.({ message: undefined });
    expect(remembered.lastFailure()).toBeNull();
  });
});
