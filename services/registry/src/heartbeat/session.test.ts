/** Streams of one agent at one registry process, in virtual time. */
import { wire } from "@headroom/contracts";
import type { CallContext, DuplexStream, HeadroomError } from "@headroom/rpc";
import { createDeferred } from "@headroom/runtime";
import { captureLogger, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { LineBudget } from "../liveness/line-budget.ts";
import { Liveness } from "../liveness/liveness.ts";
import { Pulses } from "../liveness/pulses.ts";
import { StateWriter } from "../liveness/state-writer.ts";
import { ReservationDesk } from "../reservations/desk.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { Admissions } from "./admissions.ts";
import { HeartbeatSession } from "./session.ts";
import { Sessions } from "./sessions.ts";

const { agentId } = agentWith();
const FIRST = "00000000-0000-4000-8000-0000000000f1";
const SECOND = "00000000-0000-4000-8000-0000000000f2";
const INTERVAL_MS = 5_000;

/** The registry's side of a stream whose other side is the test. */
class Stream implements DuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse> {
  readonly sent: wire.HeartbeatResponse[] = [];
  closedBy: HeadroomError | null | undefined = undefined;
  #onMessage: (message: wire.HeartbeatRequest) => void | Promise<void> = () => undefined;
  #onClose: (error: HeadroomError | null) => void = () => undefined;

  onMessage(handler: (message: wire.HeartbeatRequest) => void | Promise<void>): void {
    this.#onMessage = handler;
  }
  onPeerEnd(): void {}
  onDrain(): void {}
  onClose(handler: (error: HeadroomError | null) => void): void {
    this.#onClose = handler;
  }
  send(message: wire.HeartbeatResponse): boolean {
    this.sent.push(message);
    return true;
  }
  end(): void {
    this.#close(null);
  }
  fail(error: HeadroomError): void {
    this.#close(error);
  }
  async say(message: NonNullable<wire.HeartbeatRequest["message"]>): Promise<void> {
    try {
      await this.#onMessage({ message });
    } catch (error) {
      // As the transport does it.
      this.fail(error as HeadroomError);
    }
  }
  get isWelcome(): boolean {
    return this.closedBy === undefined && this.sent.some(({ message }) => message?.$case === "welcome");
  }
  #close(error: HeadroomError | null): void {
    if (this.closedBy !== undefined) return;
    this.closedBy = error;
    this.#onClose(error);
  }
}

function startRegistry(options: { readonly intervalMs?: number } = {}) {
  const pace = { intervalMs: options.intervalMs ?? INTERVAL_MS };
  const ports = manualPorts();
  const logger = captureLogger();
  const fleet = new Fleet("here");
  const pulses = new Pulses();
  const sessions = new Sessions();
  const storeClock = new StoreClock(ports.clock);
  let epoch = 0;
  /** Comes before the store lets an agent in. */
  const beforeAdmission = { wait: (): Promise<void> => Promise.resolve() };
  const store = storeStub({
    admit: async (asked) => {
      await beforeAdmission.wait();
      epoch += 1;
      const agents = asked.map(({ identity, incarnation }) =>
        agentWith({ ...identity, incarnation, epoch, replicaId: "here" }),
      );
      return { agents, refused: [], nowMs: ports.clock.now() };
    },
  });
  const writer = new StateWriter({
    replicaId: "here",
    fleet,
    pulses,
    store,
    storeClock,
    ports,
    logger,
    hasReaders: () => false,
    onBeatsWritten: () => undefined,
  });
  const services = {
    replicaId: "here",
    get intervalMs() {
      return pace.intervalMs;
    },
    fleet,
    pulses,
    liveness: new Liveness({
      replicaId: "here",
      fleet,
      pulses,
      writer,
      storeClock,
      clock: ports.clock,
      logger,
      flapsTolerated: 3,
    }),
    writer,
    desk: new ReservationDesk({ fleet, store, storeClock, logger, takeLoaded: () => undefined }),
    admissions: new Admissions({ store, storeClock, random: ports.random }),
    sessions,
    storeClock,
    helloLines: new LineBudget(),
    ports,
    requireReady: () => undefined,
  };
  const context = { caller: { roles: new Set(), peer: "test" }, logger } as Partial<CallContext> as CallContext;
  const open = (): Stream => {
    const stream = new Stream();
    void new HeartbeatSession(services, stream, context);
    return stream;
  };
  return {
    ports,
    pace,
    beforeAdmission,
    /** As the registry does it when it stops. */
    sendAway: (): void => {
      sessions.close();
      for (const session of sessions.all()) {
        session.askToReconnect(2_000);
        session.end();
      }
    },
    seen: () => fleet.get(agentId),
    open,
    hello: async (incarnation: string): Promise<Stream> => {
      const stream = open();
      await sayHello(stream, incarnation);
      return stream;
    },
  };
}

function sayHello(stream: Stream, incarnation: string, of = agentId): Promise<void> {
  const value = wire.Hello.fromPartial({ agentId: of, incarnation, agentType: wire.AgentType.AGENT_TYPE_DESKTOP });
  return stream.say({ $case: "hello", value });
}

const beat = (stream: Stream, seq: number): Promise<void> =>
  stream.say({ $case: "beat", value: wire.Beat.fromPartial({ seq, attached: true }) });

describe("another start of an agent", () => {
  it.each([0, 1, 1.1, 1.2])(
    "DESIGN-4: is a clone %d intervals after a beat, and the first goes on",
    async (intervals) => {
      const { ports, hello } = startRegistry();
      const first = await hello(FIRST);
      await ports.advance(INTERVAL_MS);
      await beat(first, 1);
      await ports.advance(intervals * INTERVAL_MS);
      expect((await hello(SECOND)).closedBy).toMatchObject({ code: "ALREADY_EXISTS", reason: "AGENT_CLONED" });
      await beat(first, 2);
      expect(first.isWelcome).toBe(true);
    },
  );

  it("DESIGN-4: is a clone also while the first measures before its beat", async () => {
    const { ports, hello } = startRegistry();
    await hello(FIRST);
    await ports.advance(1.21 * INTERVAL_MS + 1_500);
    expect((await hello(SECOND)).closedBy).toMatchObject({ reason: "AGENT_CLONED" });
  });

  it("DESIGN-4: is judged by the interval that the first was told, whatever others are told since", async () => {
    const { ports, pace, hello } = startRegistry({ intervalMs: 60_000 });
    await hello(FIRST);
    pace.intervalMs = INTERVAL_MS;
    await ports.advance(66_000);
    expect((await hello(SECOND)).closedBy).toMatchObject({ reason: "AGENT_CLONED" });
  });

  it("DESIGN-4: is let in at once after a crash, with which the old stream ended", async () => {
    const { hello } = startRegistry();
    const first = await hello(FIRST);
    await beat(first, 1);
    first.end();
    expect((await hello(SECOND)).isWelcome).toBe(true);
  });

  it("DESIGN-4: is let in over a dead stream before that is suspect", async () => {
    const { ports, hello } = startRegistry();
    const first = await hello(FIRST);
    await ports.advance(2 * INTERVAL_MS);
    expect((await hello(SECOND)).isWelcome).toBe(true);
    expect(first.closedBy).toMatchObject({ reason: "SESSION_SUPERSEDED" });
  });

  it("DESIGN-4: is let in over a dead stream when that is suspect, however short the interval", async () => {
    const { ports, hello } = startRegistry({ intervalMs: 400 });
    await hello(FIRST);
    await ports.advance(1_200);
    expect((await hello(SECOND)).isWelcome).toBe(true);
  });
});

it("DESIGN-4: an agent has a timer until it has said hello, and none from then on", async () => {
  const { ports, open } = startRegistry();
  const timers = (): number => ports.timers.pendingDelays().length;
  const streams = Array.from({ length: 40 }, open);
  expect(timers()).toBe(40);
  for (const [each, stream] of streams.entries()) {
    await sayHello(stream, FIRST, `00000000-0000-4000-8000-0000000010${each + 10}`);
    await beat(stream, 1);
  }
  expect(streams.every(({ isWelcome }) => isWelcome)).toBe(true);
  expect(timers()).toBeLessThanOrEqual(1);
});

describe("a beat", () => {
  it("DESIGN-4: that is no newer than the last one changes nothing and is not acknowledged", async () => {
    const { ports, seen, hello } = startRegistry();
    const stream = await hello(FIRST);
    const say = (seq: number, attached: boolean): Promise<void> =>
      stream.say({ $case: "beat", value: wire.Beat.fromPartial({ seq, attached }) });
    const acked = (): readonly number[] =>
      stream.sent.flatMap(({ message }) => (message?.$case === "ack" ? [message.value.seq] : []));
    await say(1, true);
    await say(3, true);
    for (const seq of [3, 2, 1]) await say(seq, false);
    await ports.advance(0);
    expect([seen()?.attached, acked(), stream.closedBy]).toEqual([true, [1, 3], undefined]);
    await say(4, false);
    await ports.advance(0);
    expect([seen()?.attached, acked().at(-1)]).toEqual([false, 4]);
  });
});

describe("a stream that closes", () => {
  it("DESIGN-4: before its Hello is admitted is no flap, though its agent is suspect: it was the registry that was late", async () => {
    const { beforeAdmission, seen, open } = startRegistry();
    const stream = open();
    beforeAdmission.wait = () => Promise.resolve(stream.end());
    await sayHello(stream, FIRST);
    expect(seen()).toMatchObject({ status: "suspect", flapping: { flaps: 0 } });
  });

  it("DESIGN-4: after that, without a word, is a flap", async () => {
    const { seen, hello } = startRegistry();
    const stream = await hello(FIRST);
    stream.end();
    expect(seen()).toMatchObject({ status: "suspect", flapping: { flaps: 1 } });
  });

  it("DESIGN-4: because the registry stops leaves its agent online, on its way to another one, also while its Hello waits for the store", async () => {
    const { beforeAdmission, sendAway, seen, open, hello } = startRegistry();
    await hello(FIRST);
    const again = open();
    const asked = createDeferred();
    const answered = createDeferred();
    beforeAdmission.wait = () => {
      asked.resolve();
      return answered.promise;
    };
    const said = sayHello(again, FIRST);
    await asked.promise;
    sendAway();
    expect(again.closedBy).toBeNull();
    answered.resolve();
    await said;
    expect(seen()).toMatchObject({ epoch: 2, status: "online", flapping: { flaps: 0 } });
  });
});
