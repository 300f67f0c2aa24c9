import { wire } from "@headroom/contracts";
import { bindService, createClient, createTokenAuth, HeadroomError, type RpcServer } from "@headroom/rpc";
import { silentLogger } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import { SimNetwork } from "./sim-network.ts";

const address = "127.0.0.1:7401";
const token = "token-of-this-test";
const agentId = "11111111-1111-4111-8111-111111111111";

type Heartbeats = Parameters<typeof bindService<typeof wire.AgentServiceService>>[1];

/** A server and a client of it, in a world of their own. `calls` counts what reached the server. */
async function setUp(heartbeat: Heartbeats["heartbeat"] = (stream) => stream.end()) {
  const engine = new Engine(7);
  const network = new SimNetwork(engine);
  const [server, client] = [engine.process("server"), engine.process("client")];
  const calls = { unary: 0 };
  const rpc: RpcServer = network.for(server).rpcServer({
    name: "registry",
    ports: server.ports,
    logger: silentLogger,
    listen: { grpc: address },
    services: [
      bindService(wire.AgentServiceService, {
        enrollAgent: () => {
          calls.unary += 1;
          return Promise.resolve({ credential: "given" });
        },
        heartbeat,
      }),
    ],
    auth: createTokenAuth({ token }),
  });
  await rpc.start();
  const channel = network.for(client).channel({ address, ports: client.ports, logger: silentLogger, token });
  return { engine, network, server, client, rpc, calls, agents: createClient(wire.AgentServiceService, channel) };
}

/** What came of a call, once the world has gone on for so long. */
async function outcome<T>(engine: Engine, forMs: number, call: Promise<T>): Promise<T | string> {
  let result: T | string = "nothing yet";
  call.then(
    (value) => (result = value),
    (error: unknown) => (result = error instanceof HeadroomError ? error.reason : String(error)),
  );
  await engine.run(forMs);
  return result;
}

const enrolment = wire.EnrollAgentRequest.fromPartial({ joinToken: "t", agentId });

describe("the simulated network", () => {
  it("carries a call through the real pipeline: answers, and refusals with the field", async () => {
    const { engine, agents, calls } = await setUp();
    expect(await outcome(engine, 100, agents.enrollAgent(enrolment))).toEqual({ credential: "given" });
    const wrong = agents.enrollAgent({ ...enrolment, agentId: "me" }).catch((error: HeadroomError) => error.message);
    expect(await outcome(engine, 100, wrong)).toContain("agent_id");
    expect(calls.unary).toBe(1);
  });

  it("a call to nobody, to a server that died, and to one that stands still ends as it does over sockets", async () => {
    const { engine, agents, server, rpc, network } = await setUp();
    server.pause();
    expect(await outcome(engine, 20_000, agents.enrollAgent(enrolment, { deadlineMs: 5_000 }))).toBe(
      "DEADLINE_EXCEEDED",
    );
    server.resume();
    const pending = agents.enrollAgent(enrolment);
    kill(network, server);
    expect(await outcome(engine, 20_000, pending)).toBe("CONNECTION_LOST");
    expect(await outcome(engine, 20_000, agents.enrollAgent(enrolment))).toBe("SERVER_UNREACHABLE");
    expect(rpc.address).not.toBeNull();
  });

  it("what is cut one way arrives when the cut is over, or the connection breaks at the keepalive", async () => {
    const { engine, agents, network, calls } = await setUp();
    network.links.cut("client", "server", 3_000);
    const late = agents.enrollAgent(enrolment);
    expect(await outcome(engine, 2_900, late)).toBe("nothing yet");
    expect(calls.unary).toBe(0);
    expect(await outcome(engine, 200, late)).toEqual({ credential: "given" });
    network.links.cut("server", "client", 60_000);
    const unheard = agents.enrollAgent(enrolment);
    expect(await outcome(engine, 11_000, unheard)).toBe("DEADLINE_EXCEEDED");
    expect(calls.unary).toBe(2);
  });

  it("a stream keeps its order both ways, and each side learns of its end", async () => {
    const heard: string[] = [];
    const { engine, agents, network } = await setUp((stream) => {
      stream.onMessage(({ message }) => {
        if (message?.$case === "beat") {
          heard.push(`beat ${message.value.seq}`);
          stream.send({ message: { $case: "ack", value: wire.Ack.fromPartial({ seq: message.value.seq }) } });
        }
      });
      stream.onPeerEnd(() => stream.end());
      stream.onClose((error) => heard.push(`server closed: ${error?.reason ?? "well"}`));
    });
    const open = () => {
      const stream = agents.heartbeat();
      stream.onMessage(({ message }) => void (message?.$case === "ack" && heard.push(`ack ${message.value.seq}`)));
      stream.onPeerEnd(() => undefined);
      stream.onClose((error) => heard.push(`client closed: ${error?.reason ?? "well"}`));
      return stream;
    };
    const stream = open();
    for (let seq = 1; seq <= 20; seq += 1) {
      stream.send({ message: { $case: "beat", value: wire.Beat.fromPartial({ seq }) } });
    }
    stream.end();
    await engine.run(1_000);
    expect(heard.filter((line) => line.startsWith("beat"))).toEqual(
      Array.from({ length: 20 }, (_, at) => `beat ${at + 1}`),
    );
    expect(heard.filter((line) => line.startsWith("ack"))).toEqual(
      Array.from({ length: 20 }, (_, at) => `ack ${at + 1}`),
    );
    expect(heard.at(-1)).toBe("client closed: well");
    expect(heard).toContain("server closed: well");
    heard.length = 0;
    open().send({ message: { $case: "beat", value: wire.Beat.fromPartial({ seq: 1 }) } });
    await engine.run(100);
    network.links.breakBetween("client", "server");
    await engine.run(100);
    expect(heard.slice(-2).toSorted()).toEqual(["client closed: CONNECTION_LOST", "server closed: CALLER_GONE"]);
  });

  it.each([
    ["comes later, for its machine sends it again", false, 1],
    ["never comes when its machine has lost its power meanwhile", true, 0],
  ])("what was cut off %s", async (_, losesPower, times) => {
    let streams = 0;
    const { engine, client, network, agents } = await setUp(() => void (streams += 1));
    network.links.cut("client", "server", 30_000);
    agents.heartbeat().onClose(() => undefined);
    await engine.run(1_000);
    if (losesPower) kill(network, client, true);
    await engine.run(60_000);
    expect(streams).toBe(times);
  });

  it("the end of a stream that does not get through is learned of from keepalive", async () => {
    const closed: string[] = [];
    const { engine, client, network, agents } = await setUp((stream) =>
      stream.onClose((error) => closed.push(error?.reason ?? "well")),
    );
    const stream = agents.heartbeat();
    stream.onClose(() => undefined);
    await engine.run(1_000);
    network.links.cut("client", "server", 30_000);
    stream.fail(new HeadroomError({ code: "CANCELLED", reason: "GIVEN_UP", message: "nothing comes" }));
    await engine.run(1_000);
    kill(network, client, true);
    await engine.run(38_000);
    expect(closed).toEqual([]);
    await engine.run(3_000);
    expect(closed).toEqual(["CALLER_GONE"]);
  });
});

function kill(network: SimNetwork, process: SimProcess, machineToo = false): void {
  process.kill();
  network.links.processDied(process, machineToo);
}
