import { DuplexCore, type DuplexReceiver, type DuplexStream, HeadroomError } from "@headroom/rpc";
import type { SimProcess } from "../engine/sim-process.ts";
import { Lane } from "./lane.ts";
import type { Conversation, Links } from "./links.ts";
import { callerGone, cancelled, connectionLost, nobodyThere } from "./lost.ts";
import { servedMethod, type SimCall } from "./sim-network.ts";

/** Messages that may be under way or wait to be read, before a sender is told to hold back. */
const window = 64;

/** A stream that talks both ways. */
export function callDuplex(call: SimCall): DuplexStream<unknown, unknown> {
  const { links, caller, address, method, options } = call;
  const name = method.path.slice(1);
  const target = call.find();
  const toError = (error: unknown): HeadroomError =>
    error instanceof HeadroomError
      ? error
      : new HeadroomError({ code: "INTERNAL", reason: "CLIENT_FAULT", message: String(error), cause: error });
  const { signal } = options;
  const aborted = (): void => core.fail(cancelled(name, signal?.reason));
  let end = (): void => undefined;
  let send: Sender | null = null;
  const inbox = new Inbox(links, caller, name);
  const core = new DuplexCore<unknown, unknown>({
    transport: {
      write(bytes, written) {
        const all = links.tap?.toServer(name, bytes) ?? [bytes];
        for (const more of all.slice(0, -1)) send?.write(more, () => undefined);
        return send?.write(all.at(-1) ?? bytes, written) ?? false;
      },
      end: () => send?.send(() => server.deliver((receiver) => receiver.peerEnded())),
      fail: () => send?.end(() => server.now((receiver) => receiver.transportClosed(callerGone()))),
      pause: () => inbox.pause(),
      resume: () => inbox.resume(),
    },
    decode: method.responseDeserialize,
    encode: method.requestSerialize,
    toError,
    closed() {
      end();
      untrack();
      signal?.removeEventListener("abort", aborted);
    },
    report: (error) => links.engine.fail(error),
  });
  inbox.begin(core);
  const untrack = call.track((error) => core.fail(error));
  signal?.addEventListener("abort", aborted, { once: true });
  if (target === null) {
    links.engine.schedule(links.delayMs(caller.name, address), caller, `nobody at ${address}`, () =>
      core.transportClosed(nobodyThere(address)),
    );
    return core;
  }
  const { process } = target;
  const server = new Inbox(links, process, name);
  const there = new Lane(links, caller, process, `to ${name}`);
  const back = new Lane(links, process, caller, `of ${name}`);
  const conversation: Conversation = {
    from: caller,
    to: process,
    callerLost() {
      back.close();
      core.transportClosed(connectionLost(address));
    },
    serverLost() {
      there.close();
      server.now((receiver) => receiver.transportClosed(callerGone()));
    },
  };
  end = links.begin(conversation);
  send = new Sender(links, caller, conversation, there, server, () => core.drained());
  const answer = new Sender(links, process, conversation, back, inbox, () =>
    server.now((receiver) => receiver.drained()),
  );
  there.send(() =>
    servedMethod(target, method).invokeDuplexBytes(call.metaOf(options.deadlineMs ?? null), {
      write(bytes, written) {
        const instead = links.tap === null ? bytes : links.tap.toCaller(name, bytes);
        if (instead !== null) return answer.write(instead, written);
        written();
        return true;
      },
      end() {
        answer.send(() => inbox.deliver((receiver) => receiver.peerEnded()));
        answer.send(() => inbox.deliver((receiver) => receiver.transportClosed(null)));
        process.do(`${name} has ended`, () => server.now((receiver) => receiver.transportClosed(null)));
      },
      fail: (error) => answer.send(() => inbox.deliver((receiver) => receiver.transportClosed(error))),
      pause: () => server.pause(),
      resume: () => server.resume(),
      isGone: () => false,
      begin: (receiver) => server.begin(receiver),
    }),
  );
  return core;
}

type Delivery = (receiver: DuplexReceiver) => void;

/** What has arrived at one side and is taken in order, unless that side asks to wait. */
class Inbox {
  readonly #links: Links;
  readonly #owner: SimProcess;
  readonly #name: string;
  readonly #waiting: Delivery[] = [];
  #receiver: DuplexReceiver | null = null;
  #isPaused = false;

  constructor(links: Links, owner: SimProcess, name: string) {
    this.#links = links;
    this.#owner = owner;
    this.#name = name;
  }

  get length(): number {
    return this.#waiting.length;
  }

  begin(receiver: DuplexReceiver): void {
    this.#receiver = receiver;
    this.#flush();
  }

  deliver(delivery: Delivery): void {
    this.#waiting.push(delivery);
    this.#flush();
  }

  /** Past what waits. */
  now(delivery: Delivery): void {
    if (this.#receiver !== null) delivery(this.#receiver);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#links.engine.schedule(0, this.#owner, `reads on ${this.#name}`, () => this.#flush());
  }

  #flush(): void {
    while (!this.#isPaused && this.#receiver !== null) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next(this.#receiver);
    }
  }
}

/** One side's way to the other's inbox. */
class Sender {
  readonly #links: Links;
  readonly #owner: SimProcess;
  readonly #conversation: Conversation;
  readonly #lane: Lane;
  readonly #inbox: Inbox;
  readonly #drained: () => void;
  #underWay = 0;
  #isHeldBack = false;

  constructor(
    links: Links,
    owner: SimProcess,
    conversation: Conversation,
    lane: Lane,
    inbox: Inbox,
    drained: () => void,
  ) {
    this.#links = links;
    this.#owner = owner;
    this.#conversation = conversation;
    this.#lane = lane;
    this.#inbox = inbox;
    this.#drained = drained;
  }

  write(bytes: Buffer, written: () => void): boolean {
    const copy = Buffer.from(bytes);
    this.#underWay += 1;
    if (this.#links.chance(this.#links.weather.breaks)) this.#links.break(this.#conversation);
    this.send(() =>
      this.#inbox.deliver((receiver) => {
        this.#underWay -= 1;
        written();
        if (this.#isHeldBack && this.#underWay < window / 2) {
          this.#isHeldBack = false;
          this.#links.engine.schedule(0, this.#owner, "may send again", this.#drained);
        }
        receiver.received(copy);
      }),
    );
    if (this.#underWay >= window) this.#isHeldBack = true;
    return !this.#isHeldBack;
  }

  send(arrive: () => void): void {
    this.#lane.send(arrive);
  }

  end(arrive: () => void): void {
    this.#lane.end(arrive);
  }
}
