import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { silentLogger } from "@headroom/runtime";
import { manualPorts, type ManualPorts, waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { onTestEnd, recordingLogger } from "../rpc.test-helper.ts";
import { type ConnectionBounds, ConnectionGate, peerKey } from "./connection-gate.ts";

interface Connection {
  /** As the gate knows it. */
  readonly peer: string;
  readonly isEnded: () => boolean;
  readonly ended: Promise<unknown>;
}

/** A gate before a real server, whose time stands still. */
async function startGate(bounds: Partial<ConnectionBounds>, logger = silentLogger) {
  const ports: ManualPorts = manualPorts();
  const gate = new ConnectionGate({
    name: "test",
    timers: ports.timers,
    logger,
    maxConnections: 10,
    maxSilent: 10,
    firstRequestMs: 1_000,
    ...bounds,
  });
  const server = createServer((socket) => void gate.admit(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const opened: Socket[] = [];
  onTestEnd(() => {
    for (const socket of opened) socket.destroy();
    server.close();
  });
  const address = server.address() as { readonly port: number };

  async function open(): Promise<Connection> {
    const accepted = once(server, "connection");
    const socket = connect(address.port, "127.0.0.1");
    opened.push(socket);
    socket.on("error", () => undefined).resume();
    const ended = once(socket, "close");
    await Promise.all([once(socket, "connect"), accepted]);
    return { peer: peerKey("127.0.0.1", socket.localPort), isEnded: () => socket.destroyed, ended };
  }
  return { gate, ports, open };
}

describe("ConnectionGate", () => {
  it("ends a connection that asks for nothing in time, and leaves one that did alone", async () => {
    const { gate, ports, open } = await startGate({ firstRequestMs: 1_000 });
    const [silent, asks] = [await open(), await open()];
    gate.request(asks.peer)();
    await ports.advance(1_000);
    await silent.ended;
    expect(asks.isEnded()).toBe(false);
    expect(gate.size).toBe(1);
  });

  it("of too many that are silent the oldest goes, however much room there is in all", async () => {
    const { gate, open } = await startGate({ maxSilent: 2 });
    const [first, second, third] = [await open(), await open(), await open()];
    await first.ended;
    expect([second.isEnded(), third.isEnded(), gate.size]).toEqual([false, false, 2]);
  });

  it("when it is full, silent ones go before idle ones, and idle ones in the order in which they became idle", async () => {
    const { gate, open } = await startGate({ maxConnections: 3 });
    const [later, sooner, silent] = [await open(), await open(), await open()];
    const over = gate.request(later.peer);
    gate.request(sooner.peer)();
    over();
    const busy = [await open()];
    await silent.ended;
    gate.request(busy[0]!.peer);
    busy.push(await open());
    await sooner.ended;
    gate.request(busy[1]!.peer);
    busy.push(await open());
    await later.ended;
    expect(busy.map(({ isEnded }) => isEnded())).toEqual([false, false, false]);
  });

  it("a newcomer is refused only when all others have requests open", async () => {
    const { gate, open } = await startGate({ maxConnections: 2 });
    const working = [await open(), await open()];
    const over = working.map(({ peer }) => gate.request(peer));
    await (
      await open()
    ).ended;
    expect(working.map(({ isEnded }) => isEnded())).toEqual([false, false]);
    for (const each of over) each();
    const served = await open();
    await working[0]!.ended;
    expect([served.isEnded(), gate.size]).toEqual([false, 2]);
  });

  it("tells the log once in a while how many it ended, and why", async () => {
    const { logger, records } = recordingLogger();
    const { ports, open } = await startGate({ maxSilent: 1 }, logger);
    for (let n = 0; n < 20; n += 1) await open();
    await ports.advance(10_000);
    await waitFor(() => records().length > 0, { timeoutMs: 5_000, describe: () => "a line in the log" });
    expect(records()).toMatchObject([{ level: "warn", ended: { "silent, and room was needed": 19 } }]);
  });

  it("knows nothing of a connection that has closed", async () => {
    const { gate, open } = await startGate({});
    const { peer } = await open();
    const over = gate.request(peer);
    gate.request("192.0.2.1:1")();
    over();
    gate.endSilent();
    expect(gate.size).toBe(1);
  });
});
