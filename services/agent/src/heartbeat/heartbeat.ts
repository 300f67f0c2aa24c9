import { goodbyeReasonWire, msFromDuration, type wire } from "@headroom/contracts";
import { HeadroomError, type DuplexStream } from "@headroom/rpc";
import { Outage, type Logger, type Ports, type Timer } from "@headroom/runtime";
import type { Admission } from "../connection/admission.ts";
import { keepConnected, type KeptConnection, type SessionEnd } from "../connection/keep-connected.ts";
import { leaveReasonOf } from "../connection/leave.ts";
import { openError } from "../connection/open-error.ts";
import { initialHeartbeat, stepHeartbeat, type HeartbeatEffect, type HeartbeatEvent } from "./machine.ts";

type Stream = DuplexStream<wire.HeartbeatResponse, wire.HeartbeatRequest>;

export interface HeartbeatOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  /** What a hello says besides the changing part. */
  readonly about: Pick<
    wire.Hello,
    "agentId" | "incarnation" | "version" | "hostname" | "agentType" | "poolName" | "labels" | "platform"
  >;
  /** Told what the registry says of this program. */
  readonly admission: Pick<Admission, "admitted" | "refused" | "unheard">;
  /** How often the program has started, this time included. */
  readonly starts: number;
  open(): Promise<() => Stream>;
  /** A full sample of this moment. One call at a time. */
  measure(): Promise<wire.Sample>;
  /** What to tell when it rejects; null: no sample. */
  whenUnmeasured(): wire.Sample | null;
  /** The deadline of a drain is over: these attempts have to end. Told again with each beat until they are gone. */
  evict(attemptIds: readonly string[]): void;
  isAttached(): boolean;
  isHeldByOwner(): boolean;
}

/** The agent's sign of life: one session after another. */
export interface Heartbeat extends KeptConnection {
  /** `attached` or the owner's hold is another: told at once. */
  statusChanged(): void;
  /** An attempt came or went: a sample is sent at once. */
  attemptsChanged(): void;
  isUp(): boolean;
}

/** Sessions of one start are numbered from here on; a stream a second fills it in half a year. */
const sessionsPerStart = 2 ** 24;

/** A goodbye that the service does not answer by closing is over after this. */
const goodbyeLimitMs = 2_000;

export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  let session: HeartbeatSession | null = null;
  let sessions = options.starts * sessionsPerStart;
  const unmeasured = new Outage(options.logger, {
    fails: "the machine could not be measured; beats go without a sample until it can",
    works: "the machine can be measured again",
  });
  const service = keepConnected({
    name: "heartbeat",
    ports: options.ports,
    logger: options.logger,
    async session(signal) {
      sessions += 1;
      session = new HeartbeatSession(options, sessions, () => measureSafely(options, unmeasured));
      try {
        const end = await session.run(signal);
        noteEnd(options.admission, end);
        return end;
      } finally {
        session = null;
      }
    },
  });
  return {
    ...service,
    statusChanged: () => session?.handle({ kind: "status_changed" }),
    attemptsChanged: () => session?.handle({ kind: "attempts_changed" }),
    isUp: () => session?.isUp ?? false,
  };
}

/** A registry that is away, or refuses for another reason, does not say that this is a copy. */
function noteEnd(admission: HeartbeatOptions["admission"], { error }: SessionEnd): void {
  if (error?.reason === "AGENT_CLONED") admission.refused();
  else if (error !== null) admission.unheard();
}

async function measureSafely(options: HeartbeatOptions, unmeasured: Outage): Promise<wire.Sample | null> {
  try {
    const sample = await options.measure();
    unmeasured.worked();
    return sample;
  } catch (error) {
    unmeasured.failed(error);
    return options.whenUnmeasured();
  }
}

/** Acts on what the machine decides, for one stream. */
class HeartbeatSession {
  readonly #options: HeartbeatOptions;
  /** Counts the agent's sessions over its starts, so that what arrives late is known as such. */
  readonly #number: number;
  readonly #measure: () => Promise<wire.Sample | null>;
  #state = initialHeartbeat;
  #stream: Stream | null = null;
  #timer: Timer | null = null;
  #reconnectWithinMs: number | null = null;
  #wasUp = false;
  /** Of the newest ack; 0: none yet. */
  #ackedSeq = 0;
  /** Came before the stream was open. */
  #attemptsChangedEarly = false;

  constructor(options: HeartbeatOptions, number: number, measure: () => Promise<wire.Sample | null>) {
    this.#options = options;
    this.#number = number;
    this.#measure = measure;
  }

  get isUp(): boolean {
    return this.#state.phase === "up";
  }

  async run(signal: AbortSignal): Promise<SessionEnd> {
    const sample = await this.#measure();
    const open = await this.#options.open().catch((error: unknown) => openError(error));
    if (open instanceof HeadroomError) return { wasUp: false, error: open, reconnectWithinMs: null };
    const stream = open();
    const closed = new Promise<HeadroomError | null>((resolve) => {
      stream.onMessage((message) => this.#receive(message));
      stream.onPeerEnd(() => stream.end());
      stream.onClose(resolve);
      // Beats are small and rare; a full buffer shows as a missing ack.
      stream.onDrain(() => undefined);
    });
    this.#stream = stream;
    const leave = (): void => this.#end(signal, stream);
    signal.addEventListener("abort", leave, { once: true });
    this.handle({ kind: "opened", sample });
    if (this.#attemptsChangedEarly) this.handle({ kind: "attempts_changed" });
    if (signal.aborted) leave();
    const error = await closed;
    signal.removeEventListener("abort", leave);
    this.#timer?.cancel();
    this.#stream = null;
    this.#state = { ...this.#state, phase: "leaving" };
    return { wasUp: this.#wasUp, error, reconnectWithinMs: this.#reconnectWithinMs };
  }

  /** Told to: with a goodbye, unless the stream is most likely dead. */
  #end(signal: AbortSignal, stream: Stream): void {
    const why = leaveReasonOf(signal);
    if (why === "reconnect") stream.fail(droppedError());
    else this.handle({ kind: "goodbye", reason: why === "sleep" ? "sleep" : "shutdown" });
  }

  handle(event: HeartbeatEvent): void {
    if (this.#stream === null) {
      if (event.kind === "attempts_changed") this.#attemptsChangedEarly = true;
      return;
    }
    const { clock, random } = this.#options.ports;
    const { state, effects } = stepHeartbeat(this.#state, event, clock.monotonic(), random.next());
    this.#state = state;
    for (const effect of effects) this.#act(effect, this.#stream);
  }

  #receive({ message }: wire.HeartbeatResponse): void {
    switch (message?.$case) {
      case "welcome": {
        const { value } = message;
        this.#wasUp = true;
        this.#options.admission.admitted();
        this.#options.logger.info(
          { epoch: value.epoch, registry: value.registryInstance },
          "the registry welcomed this agent",
        );
        const intervalMs = msFromDuration(value.interval) ?? initialHeartbeat.intervalMs;
        return this.handle({ kind: "welcome", intervalMs, ttlMs: msFromDuration(value.ttl) ?? 3 * intervalMs });
      }
      case "ack":
        this.#ackedSeq = message.value.seq;
        if (message.value.evictAttemptIds.length > 0) this.#options.evict(message.value.evictAttemptIds);
        return this.handle({
          kind: "ack",
          nextIntervalMs: msFromDuration(message.value.nextInterval),
          wantFull: message.value.wantFull,
        });
      case "reconnect":
        return this.handle({ kind: "reconnect", withinMs: msFromDuration(message.value.within) ?? 0 });
      case undefined:
        // Said by a newer registry; beats go on without it.
        return;
    }
  }

  #act(effect: HeartbeatEffect, stream: Stream): void {
    const { ports, about } = this.#options;
    const status = { attached: this.#options.isAttached(), ownerHold: this.#options.isHeldByOwner() };
    switch (effect.kind) {
      case "send_hello": {
        const hello: wire.Hello = { ...about, ...status, session: this.#number, sample: effect.sample ?? undefined };
        stream.send({ message: { $case: "hello", value: hello } });
        return;
      }
      case "send_beat": {
        const beat: wire.Beat = {
          seq: effect.seq,
          ...status,
          sample: effect.sample ?? undefined,
          ackedSeq: this.#ackedSeq,
        };
        stream.send({ message: { $case: "beat", value: beat } });
        return;
      }
      case "send_goodbye":
        stream.send({ message: { $case: "goodbye", value: { reason: goodbyeReasonWire.toWire(effect.reason) } } });
        return;
      case "measure":
        void this.#measure().then((sample) => this.handle({ kind: "measured", sample }));
        return;
      case "set_timer":
        this.#timer?.cancel();
        this.#timer = ports.timers.after(effect.delayMs, () => this.handle({ kind: "timer" }));
        return;
      case "leave":
        this.#reconnectWithinMs = effect.withinMs;
        this.#leave(stream);
        return;
      case "give_up":
        stream.fail(silentError(effect.silentMs));
    }
  }

  /** Ends our side, and the whole stream if the service does not follow. */
  #leave(stream: Stream): void {
    stream.end();
    this.#timer?.cancel();
    this.#timer = this.#options.ports.timers.after(goodbyeLimitMs, () => stream.fail(silentError(goodbyeLimitMs)));
  }
}

function silentError(silentMs: number): HeadroomError {
  return new HeadroomError({
    code: "UNAVAILABLE",
    reason: "REGISTRY_SILENT",
    message: `the registry said nothing for ${Math.round(silentMs / 1_000)} s; coming back`,
  });
}

function droppedError(): HeadroomError {
  return new HeadroomError({
    code: "CANCELLED",
    reason: "MACHINE_SLEPT",
    message: "the machine slept; connecting anew",
  });
}
