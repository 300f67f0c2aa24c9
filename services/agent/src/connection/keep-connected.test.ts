import { createDeferred, silentLogger, systemPorts } from "@headroom/runtime";
import { unavailable } from "@headroom/rpc";
import { captureLogger, manualPorts, waitFor } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import { keepConnected, type KeptConnection, type SessionEnd } from "./keep-connected.ts";
import { leaveReasonOf } from "./leave.ts";

const ended: SessionEnd = { wasUp: true, error: null, reconnectWithinMs: null };
let kept: KeptConnection | undefined;
afterEach(() => kept?.stop());

/** Sessions that last until they are left; what they were told is kept. */
function start(options: { endsAtOnce?: boolean } = {}) {
  const sessions: { why: string | null }[] = [];
  kept = keepConnected({
    name: "test",
    ports: systemPorts,
    logger: silentLogger,
    async session(signal) {
      const session: { why: string | null } = { why: null };
      sessions.push(session);
      if (options.endsAtOnce === true) return { ...ended, reconnectWithinMs: 86_400_000 };
      const left = createDeferred();
      signal.addEventListener("abort", () => left.resolve());
      await left.promise;
      session.why = leaveReasonOf(signal);
      return ended;
    },
  });
  return { sessions, kept };
}

describe("a connection that is kept", () => {
  it("rests while the machine sleeps, and is back at once", async () => {
    const { sessions, kept: connection } = start();
    await connection.start();
    await waitFor(() => sessions.length === 1);
    await connection.rest();
    await connection.rest();
    expect(sessions).toEqual([{ why: "sleep" }]);
    connection.resume();
    await waitFor(() => sessions.length === 2);
    await connection.stop();
    expect(sessions).toEqual([{ why: "sleep" }, { why: "stop" }]);
  });

  it("an unannounced sleep puts a new session in place of the one that nobody has seen die", async () => {
    const { sessions, kept: connection } = start();
    await connection.start();
    await waitFor(() => sessions.length === 1);
    connection.resume();
    await waitFor(() => sessions.length === 2);
    expect(sessions[0]).toEqual({ why: "reconnect" });
  });

  it("a wait for the next session ends when the machine is back", async () => {
    const { sessions, kept: connection } = start({ endsAtOnce: true });
    await connection.start();
    await waitFor(() => sessions.length === 1);
    // It waits for a day now, whether the machine sleeps meanwhile or not.
    connection.resume();
    await waitFor(() => sessions.length === 2);
    await connection.rest();
    connection.resume();
    await waitFor(() => sessions.length === 3);
  });

  it("DESIGN-6: what certificates keep away is a warning, once for each outage", async () => {
    const failure = (reason: string) =>
      ({ wasUp: false, reconnectWithinMs: null, error: unavailable(reason, "no connection", 1_000) }) as const;
    const refused = failure("SERVER_CERTIFICATE_REFUSED");
    const ends: SessionEnd[] = [failure("SERVER_UNREACHABLE"), refused, refused, refused, ended, refused, refused];
    const ports = manualPorts();
    const logger = captureLogger();
    kept = keepConnected({
      name: "test",
      ports,
      logger,
      session: (signal) => {
        const end = ends.shift();
        if (end !== undefined) return Promise.resolve(end);
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve(ended)));
      },
    });
    await kept.start();
    while (ends.length > 0) await ports.advance(60_000);
    await ports.settle();
    const told = "test: no connection over TLS; somebody has to act, trying on";
    expect(logger.records.filter(({ level }) => level === "warn").map(({ message }) => message)).toEqual([told, told]);
  });

  it("can be stopped while it rests, before it has begun, and begins again", async () => {
    const { sessions, kept: connection } = start();
    await connection.rest();
    connection.resume();
    await connection.start();
    await waitFor(() => sessions.length === 1);
    await connection.rest();
    await connection.stop();
    await connection.start();
    await waitFor(() => sessions.length === 2);
  });
});
