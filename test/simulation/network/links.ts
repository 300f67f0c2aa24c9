import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";

/** How the network is at the moment. */
export interface NetworkWeather {
  /** Of one message, in ms. */
  readonly delayMs: { min: number; max: number };
  /** Chance of a message that takes `slowMs` longer. */
  slow: number;
  slowMs: number;
  /** Chance of one call, or one message of a stream, that its connection breaks then. */
  breaks: number;
  /** Chance of a call that may be repeated to arrive twice. */
  doubles: number;
}

/** Sits on all streams that talk both ways, and may say more, or less, than is said. `name`: of the method. */
export interface StreamTap {
  /** What the server gets instead, in order. */
  toServer(name: string, bytes: Buffer): readonly Buffer[];
  /** What the caller gets instead; null: nothing. */
  toCaller(name: string, bytes: Buffer): Buffer | null;
  /** Says nothing more by itself; what follows from what it has said is still seen to. */
  end(): void;
}

/** gRPC's keepalive: after so long without an answer a connection is given up. */
export const keepaliveMs = 40_000;

/** A conversation of two processes, which ends when their connection does. */
export interface Conversation {
  readonly from: SimProcess;
  readonly to: SimProcess;
  /** The connection is gone, as the caller's side finds out. */
  callerLost(): void;
  /** The same on the side that serves. */
  serverLost(): void;
}

/** What lies between two processes: delays, one-way cuts, broken connections. */
export class Links {
  readonly engine: Engine;
  readonly weather: NetworkWeather = { delayMs: { min: 0.2, max: 3 }, slow: 0, slowMs: 0, breaks: 0, doubles: 0 };
  /** When all cuts are over at the latest, and what they hold up gets through. */
  mendedAtMs = Number.POSITIVE_INFINITY;
  /** When somebody's connections were broken last. */
  brokenAtMs = Number.NEGATIVE_INFINITY;
  /** Null: nobody listens in. */
  tap: StreamTap | null = null;
  readonly #conversations = new Set<Conversation>();
  /** Until when nothing gets through, one way: "from>to", by machine. */
  readonly #cuts = new Map<string, number>();
  readonly #powerLostAtMs = new Map<SimProcess, number>();
  readonly #asleep = new Map<SimProcess, { readonly fromMs: number; readonly whenAwake: (() => void)[] }>();
  readonly #doomed = new Map<SimProcess, { readonly method: string; readonly befall: () => void }>();
  readonly #idleWaiters = new Set<{ readonly server: SimProcess; resolve(): void }>();

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** Something befalls a process when the next answer of a method has come to it, before it hears of that. `method`: the name's end. */
  befallAtAnswer(caller: SimProcess, method: string, befall: () => void): void {
    this.#doomed.set(caller, { method, befall });
  }

  /** An answer has been given, and reaches its caller in so long. */
  answered(caller: SimProcess, method: string, inMs: number): void {
    const doom = this.#doomed.get(caller);
    if (doom === undefined || !method.endsWith(doom.method)) return;
    this.#doomed.delete(caller);
    this.engine.schedule(inMs, null, `${caller.name} is about to hear of ${doom.method}`, doom.befall);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.engine.random.next() < probability;
  }

  /** How long the next message from one to the other takes; what is cut off waits, as TCP sends it again. */
  delayMs(from: string, to: string): number {
    const { delayMs, slow, slowMs } = this.weather;
    const ownMs = delayMs.min + this.engine.random.next() * (delayMs.max - delayMs.min);
    const lateMs = this.chance(slow) ? this.engine.random.next() * slowMs : 0;
    return ownMs + lateMs + this.#cutMs(from, to);
  }

  /** When what one says to the other now gets away from its machine: not before what cuts them off is over. */
  leavesAtMs(from: string, to: string): number {
    return this.engine.nowMs + this.#cutMs(from, to);
  }

  /** Whether a machine had lost its power by then: what was to be sent once more from it is gone. */
  hadLostPower(process: SimProcess, byMs: number): boolean {
    return (this.#powerLostAtMs.get(process) ?? Number.POSITIVE_INFINITY) < byMs;
  }

  /** The machine of a process is suspended: what is cut off from others leaves it when it is awake. */
  fallsAsleep(process: SimProcess): void {
    this.#asleep.set(process, { fromMs: this.engine.nowMs, whenAwake: [] });
  }

  wakes(process: SimProcess): void {
    const sleep = this.#asleep.get(process);
    this.#asleep.delete(process);
    for (const send of sleep?.whenAwake ?? []) send();
  }

  /** Whether a machine that sleeps fell asleep before then: what was to leave it then has not left it. */
  sleepsBefore(process: SimProcess, leavesAtMs: number): boolean {
    return (this.#asleep.get(process)?.fromMs ?? Number.POSITIVE_INFINITY) < leavesAtMs;
  }

  whenAwake(process: SimProcess, send: () => void): void {
    this.#asleep.get(process)?.whenAwake.push(send);
  }

  isCut(from: string, to: string): boolean {
    return this.#cutMs(from, to) > 0;
  }

  #cutMs(from: string, to: string): number {
    return Math.max(0, (this.#cuts.get(`${from}>${to}`) ?? 0) - this.engine.nowMs);
  }

  /** Nothing gets from one machine to the other for so long. Connections that feel it for longer than keepalive break. */
  cut(from: string, to: string, wantedMs: number): void {
    const forMs = Math.max(0, Math.min(wantedMs, this.mendedAtMs - this.engine.nowMs));
    const untilMs = this.engine.nowMs + forMs;
    const key = `${from}>${to}`;
    this.#cuts.set(key, Math.max(untilMs, this.#cuts.get(key) ?? 0));
    if (forMs <= keepaliveMs) return;
    const felt = [...this.#conversations].filter((one) => isBetween(one, from, to));
    this.engine.schedule(keepaliveMs, null, `keepalive ends what is between ${from} and ${to}`, () => {
      for (const one of felt) this.#breakNow(one);
    });
  }

  /** From now on nothing is cut. */
  healAll(): void {
    this.#cuts.clear();
  }

  /** Answers how to end it. */
  begin(conversation: Conversation): () => void {
    this.#conversations.add(conversation);
    return () => this.#end(conversation);
  }

  /** Resolves when a server has no conversation left. */
  idle(server: SimProcess): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.add({ server, resolve });
      this.#tellIdle();
    });
  }

  /** One connection breaks; each side learns of it in its own time. */
  break(conversation: Conversation): void {
    this.#breakNow(conversation);
  }

  /** The connections between two machines break; each side learns of it in its own time. */
  breakBetween(one: string, other: string): void {
    this.brokenAtMs = this.engine.nowMs;
    for (const conversation of [...this.#conversations]) {
      if (isBetween(conversation, one, other)) this.#breakNow(conversation);
    }
  }

  /** A process is gone: its machine says so to the others, unless it is gone too. */
  processDied(process: SimProcess, machineToo: boolean): void {
    if (machineToo) this.#powerLostAtMs.set(process, this.engine.nowMs);
    for (const conversation of [...this.#conversations]) {
      const { from, to } = conversation;
      if (from !== process && to !== process) continue;
      const isCaller = from === process;
      const peer = isCaller ? to : from;
      const delayMs = machineToo ? keepaliveMs : this.delayMs(process.name, peer.name);
      this.engine.schedule(delayMs, peer, `learns that ${process.name} is gone`, () => {
        this.#end(conversation);
        if (isCaller) conversation.serverLost();
        else conversation.callerLost();
      });
    }
  }

  #end(conversation: Conversation): void {
    if (this.#conversations.delete(conversation)) this.#tellIdle();
  }

  #tellIdle(): void {
    for (const waiter of this.#idleWaiters) {
      if ([...this.#conversations].some(({ to }) => to === waiter.server)) continue;
      this.#idleWaiters.delete(waiter);
      waiter.resolve();
    }
  }

  #breakNow(conversation: Conversation): void {
    if (!this.#conversations.has(conversation)) return;
    this.#end(conversation);
    const { from, to } = conversation;
    const delayMs = (): number => 0.1 + this.engine.random.next() * 2;
    this.engine.schedule(delayMs(), from, "connection lost", () => conversation.callerLost());
    this.engine.schedule(delayMs(), to, "connection lost", () => conversation.serverLost());
  }
}

function isBetween({ from, to }: Conversation, one: string, other: string): boolean {
  return (from.name === one && to.name === other) || (from.name === other && to.name === one);
}
