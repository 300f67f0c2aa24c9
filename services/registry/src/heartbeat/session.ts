/** One heartbeat stream, from its Hello to its end. Whatever comes late from a superseded one changes nothing. */
import { durationFromMs, goodbyeReasonWire, wire } from "@headroom/contracts";
import { type CallContext, type DuplexStream, failedPrecondition, invalidArgument, requireOwnId } from "@headroom/rpc";
import { jitter, type Ports, type Timer } from "@headroom/runtime";
import { isSameFlapping, ttlMs } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import { mergeLoaded } from "../fleet/merge-loaded.ts";
import type { LineBudget } from "../liveness/line-budget.ts";
import type { ApplyOptions, Liveness } from "../liveness/liveness.ts";
import type { Pulses } from "../liveness/pulses.ts";
import type { StateWriter } from "../liveness/state-writer.ts";
import type { ReservationDesk } from "../reservations/desk.ts";
import { overdueAttemptIds } from "../queries/capacity-of.ts";
import { listsOtherAttempts } from "../reservations/reconcile.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { AckSlot } from "./ack-slot.ts";
import type { Admissions } from "./admissions.ts";
import {
  clonedError,
  givenUpError,
  helloExpectedError,
  stoppingError,
  supersededError,
  unknownAttemptsError,
} from "./errors.ts";
import { type ReadHello, readHello, readSample } from "./read-hello.ts";
import type { Sessions } from "./sessions.ts";

export interface SessionServices {
  readonly replicaId: string;
  /** From one beat to the next; it changes with the number of agents. */
  readonly intervalMs: number;
  readonly fleet: Fleet;
  readonly pulses: Pulses;
  readonly liveness: Liveness;
  readonly writer: StateWriter;
  readonly desk: ReservationDesk;
  readonly admissions: Admissions;
  readonly sessions: Sessions;
  readonly storeClock: StoreClock;
  /** When a whole fleet comes back, its number says more than a line for each. */
  readonly helloLines: LineBudget;
  readonly ports: Ports;
  /** Throws when the registry cannot take agents yet. */
  readonly requireReady: () => void;
}

/** A peer that connects and says nothing holds a stream at most this long. */
const HELLO_TIMEOUT_MS = 10_000;
/** Beats of many agents that started together drift apart. */
const INTERVAL_JITTER = 0.1;
/** An agent measures between its timer and its beat: so long takes nvidia-smi where the driver is not kept loaded. */
const MEASURING_MS = 2_000;

const NOTHING: string[] = [];

type Stream = DuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse>;

export class HeartbeatSession {
  readonly #services: SessionServices;
  readonly #stream: Stream;
  readonly #context: CallContext;
  readonly #acks: AckSlot;
  readonly #helloTimer: Timer;
  #agentId: string | null = null;
  #incarnation = "";
  #epoch = 0;
  #lastSeq = 0;
  #phase: "new" | "admitting" | "open" | "closed" = "new";
  #isAskedToReconnect = false;
  /** The first ack since the last answer that asked for a full sample. */
  #asked: { readonly seq: number; readonly atMs: number } | null = null;
  /** When that was asked which was answered last: all lists since then are newer. */
  #answeredMs = Number.NEGATIVE_INFINITY;

  constructor(services: SessionServices, stream: Stream, context: CallContext) {
    this.#services = services;
    this.#stream = stream;
    this.#context = context;
    this.#acks = new AckSlot(stream);
    this.#helloTimer = services.ports.timers.after(HELLO_TIMEOUT_MS, () => {
      if (this.#phase === "new") stream.fail(helloExpectedError("nothing came for 10 s"));
    });
    services.sessions.opened(this);
    stream.onMessage((message) => this.#onMessage(message));
    stream.onPeerEnd(() => stream.end());
    stream.onClose(() => this.#onClose());
  }

  get agentId(): string | null {
    return this.#agentId;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Asks the agent to come back, here or to another registry process, spread over the time given. */
  askToReconnect(withinMs: number): void {
    if (this.#phase === "closed") return;
    this.#isAskedToReconnect = true;
    this.#stream.send({ message: { $case: "reconnect", value: { within: durationFromMs(withinMs) } } });
  }

  end(): void {
    this.#stream.end();
  }

  /** A newer session speaks for the agent. */
  supersede(): void {
    this.#stream.fail(supersededError());
  }

  /** The agent has been given up; it may come back with a Hello. */
  giveUp(): void {
    this.#stream.fail(givenUpError());
  }

  /** The agent tells of more than can be: what it said last was not taken. */
  refuseUnknown(): void {
    const agentId = this.#agentId;
    if (this.#phase === "closed" || agentId === null) return;
    const { mayWrite, withheld } = this.#services.helloLines.take(this.#services.ports.clock.monotonic());
    const fields = { agent_id: agentId, epoch: this.#epoch, ...(withheld > 0 && { withheld }) };
    if (mayWrite)
      this.#context.logger.warn(fields, "agent tells of too many attempts that nobody reserved: it is sent away");
    this.#stream.fail(unknownAttemptsError(agentId));
  }

  /** A promise for a Hello only: while it is pending nothing is read, and a beat should not pay for that. */
  #onMessage({ message }: wire.HeartbeatRequest): void | Promise<void> {
    switch (message?.$case) {
      case "hello":
        if (this.#phase !== "new")
          throw failedPrecondition("HELLO_REPEATED", "hello comes once, at the begin of a stream");
        return this.#onHello(message.value);
      case "beat":
        this.#requireHello();
        return this.#onBeat(message.value);
      case "goodbye":
        this.#requireHello();
        return this.#onGoodbye(message.value);
      case undefined:
        throw helloExpectedError("an empty message came");
    }
  }

  #requireHello(): void {
    if (this.#phase === "new") throw helloExpectedError("something else came");
  }

  async #onHello(message: wire.Hello): Promise<void> {
    const { admissions, sessions, replicaId, requireReady } = this.#services;
    this.#phase = "admitting";
    this.#helloTimer.cancel();
    requireReady();
    if (sessions.isClosing) throw stoppingError();
    const hello = readHello(message);
    const { caller } = this.#context;
    requireOwnId(caller, hello.identity.agentId);
    this.#refuseClone(hello);
    const { identity, incarnation, session, attached, ownerHold } = hello;
    const credentialId = caller.agent?.credentialId ?? null;
    const admitted = await admissions.admit({
      identity,
      incarnation,
      session,
      replicaId,
      attached,
      ownerHold,
      credentialId,
    });
    this.#open(hello, admitted);
  }

  /**
   * Another start of the agent program holds a stream here that still beats: two machines have the same identity. A program that was
   * started again is no clone: the stream of the one before was closed with it, or is dead and silent for longer than between two beats.
   */
  #refuseClone({ identity, incarnation }: ReadHello): void {
    const { sessions, pulses, intervalMs, ports } = this.#services;
    const other = sessions.of(identity.agentId);
    if (other === undefined || other.incarnation === incarnation) return;
    const pulse = pulses.get(identity.agentId);
    if (pulse === undefined) return;
    const silentMs = ports.clock.monotonic() - pulse.heardAtMs;
    if (silentMs < nextBeatWithinMs(pulse.intervalMs ?? intervalMs))
      throw clonedError(identity.agentId, identity.hostname);
  }

  #open(hello: ReadHello, admitted: StoredAgent): void {
    const { fleet, pulses, writer, desk, sessions, storeClock, ports } = this.#services;
    const { agentId } = admitted;
    const current = fleet.get(agentId);
    const isClosed = (): boolean => this.#phase === "closed";
    // Several streams of one agent may be admitted at about the same time; the store has put them in an order.
    if (current !== undefined && current.epoch > admitted.epoch) throw supersededError();
    this.#agentId = agentId;
    this.#incarnation = hello.incarnation;
    this.#epoch = admitted.epoch;
    const before = sessions.admitted(agentId, this);
    before?.supersede();
    pulses.heard(agentId, ports.clock.monotonic());
    pulses.doubt(agentId, false, ports.clock.monotonic());
    const { sample, attached, ownerHold } = hello;
    const merged = mergeLoaded(current, admitted, "this_process");
    fleet.put({ ...merged, sample, attached, ownerHold });
    // A flap that this process counted, or forgave, may not have reached the store before the session was opened.
    if (!isSameFlapping(merged.flapping, admitted.flapping)) writer.statusChanged(agentId);
    if (sample !== null) {
      writer.firstSample(agentId);
      desk.reconcileSoon(agentId, { by: "hello", epoch: this.#epoch, madeAfterMs: storeClock.now() });
    }
    this.#sayHello(admitted, current?.status ?? "new");
    if (isClosed()) {
      // It went away while the store was asked: it gave up on an answer that came too late, and is not blamed for that.
      if (sessions.closed(this)) this.#applyClose(agentId, { isFlap: false });
      return;
    }
    this.#phase = "open";
    this.#welcome();
  }

  #sayHello({ agentId, hostname, epoch }: StoredAgent, from: string): void {
    const { mayWrite, withheld } = this.#services.helloLines.take(this.#services.ports.clock.monotonic());
    if (!mayWrite) return;
    const fields = { agent_id: agentId, hostname, epoch, from, ...(withheld > 0 && { withheld }) };
    this.#context.logger.info(fields, "agent said hello");
  }

  #welcome(): void {
    const { intervalMs, replicaId, pulses } = this.#services;
    if (this.#agentId !== null) pulses.told(this.#agentId, intervalMs);
    const welcome: wire.Welcome = {
      epoch: this.#epoch,
      interval: durationFromMs(intervalMs),
      ttl: durationFromMs(ttlMs(intervalMs)),
      registryInstance: replicaId,
    };
    this.#stream.send({ message: { $case: "welcome", value: welcome } });
  }

  #onBeat(beat: wire.Beat): void {
    const { fleet, pulses, liveness, desk, storeClock, intervalMs, ports } = this.#services;
    const agentId = this.#agentId;
    if (this.#phase !== "open" || agentId === null) return;
    if (beat.seq <= this.#lastSeq) return;
    const agent = fleet.get(agentId);
    if (agent === undefined || agent.epoch !== this.#epoch) throw supersededError();
    const sample = readSample(beat.sample, "beat.sample", agent.sample);
    // A beat of an agent that is online already changes nothing about that, and most beats are such.
    if (agent.status !== "online" && !liveness.apply(agentId, "beat", "it beats again")) throw givenUpError();
    this.#lastSeq = beat.seq;
    pulses.beat(agentId, ports.clock.monotonic(), intervalMs);
    if (sample !== null || agent.attached !== beat.attached || agent.ownerHold !== beat.ownerHold) {
      this.#takeBeat(agentId, beat, sample);
    }
    // Whoever was silent is believed again with figures of now.
    const isUnsure = sample === null && (agent.sample === null || agent.status !== "online");
    const wantFull = isUnsure || desk.wantsSample(agentId);
    if (wantFull) this.#asked ??= { seq: beat.seq, atMs: storeClock.now() };
    this.#acks.acknowledge(
      beat.seq,
      jitter(ports.random, intervalMs, INTERVAL_JITTER),
      wantFull,
      this.#toEvict(agentId),
    );
  }

  #toEvict(agentId: string): string[] {
    const agent = this.#services.fleet.get(agentId);
    return agent?.draining === true ? overdueAttemptIds(agent, this.#services.storeClock.now()) : NOTHING;
  }

  #takeBeat(agentId: string, beat: wire.Beat, sample: StoredAgent["sample"]): void {
    const { attached, ownerHold } = beat;
    const { fleet, writer, desk } = this.#services;
    const agent = fleet.get(agentId);
    if (agent === undefined) return;
    const isFlagged = agent.attached !== attached || agent.ownerHold !== ownerHold;
    fleet.put({ ...agent, attached, ownerHold, sample: sample ?? agent.sample });
    if (isFlagged) writer.statusChanged(agentId);
    if (sample === null) return;
    if (agent.sample === null) writer.firstSample(agentId);
    else writer.sampled(agentId);
    const madeAfterMs = this.#madeAfterMs(beat);
    if (desk.isCommitting || listsOtherAttempts(agent, sample))
      desk.reconcileSoon(agentId, { by: "beat", epoch: this.#epoch, madeAfterMs });
    else desk.sampleHeard(agentId);
  }

  /** An agent that has heard the question for a full sample made this one after that; of others only the order is known. */
  #madeAfterMs({ ackedSeq }: wire.Beat): number {
    if (ackedSeq === undefined) return this.#services.storeClock.now();
    if (this.#asked !== null && ackedSeq >= this.#asked.seq) {
      this.#answeredMs = this.#asked.atMs;
      this.#asked = null;
    }
    return this.#answeredMs;
  }

  #onGoodbye(goodbye: wire.Goodbye): void {
    const { liveness, fleet } = this.#services;
    const agentId = this.#agentId;
    if (this.#phase !== "open" || agentId === null || fleet.get(agentId)?.epoch !== this.#epoch) return;
    const reason = goodbyeReasonWire.fromWire(goodbye.reason, "goodbye.reason");
    if (reason.kind === "invalid") throw invalidArgument([reason]);
    liveness.apply(agentId, "goodbye", `goodbye: ${reason.value}`);
    this.#services.sessions.closed(this);
    this.#stream.end();
  }

  #onClose(): void {
    const { sessions, fleet } = this.#services;
    this.#helloTimer.cancel();
    const spoke = sessions.closed(this);
    this.#phase = "closed";
    const agentId = this.#agentId;
    if (!spoke || agentId === null || fleet.get(agentId)?.epoch !== this.#epoch) return;
    this.#applyClose(agentId);
  }

  /** Whoever was sent away is on its way, and not in doubt. */
  #applyClose(agentId: string, options: Pick<ApplyOptions, "isFlap"> = {}): void {
    const { liveness, sessions } = this.#services;
    if (this.#isAskedToReconnect || sessions.isClosing)
      liveness.apply(agentId, "reconnect_announced_close", "asked to reconnect");
    else liveness.apply(agentId, "stream_closed", "its stream closed", options);
  }
}

/** The next beat of whoever lives comes within this time, or it is suspect: both sides spread the interval, and then the agent measures. */
function nextBeatWithinMs(intervalMs: number): number {
  return Math.min(intervalMs * (1 + INTERVAL_JITTER) ** 2 + MEASURING_MS, ttlMs(intervalMs));
}
