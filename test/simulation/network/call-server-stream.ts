import type { HeadroomError } from "@headroom/rpc";
import { Lane } from "./lane.ts";
import type { Conversation } from "./links.ts";
import { cancelled, connectionLost, nobodyThere } from "./lost.ts";
import { servedMethod, type Listening, type SimCall } from "./sim-network.ts";

/** Messages that may be under way or wait to be read, before the server has to wait. */
const window = 16;

/** Each loop over the result is a call of its own, begun by the loop and cancelled when it is left. */
export function callServerStream(call: SimCall, request: unknown): AsyncIterable<unknown> {
  return { [Symbol.asyncIterator]: () => new StreamReader(call, request) };
}

class StreamReader implements AsyncIterator<unknown> {
  readonly #call: SimCall;
  readonly #name: string;
  readonly #messages: unknown[] = [];
  #end: { readonly error: HeadroomError | null } | null = null;
  #wake: () => void = () => undefined;
  #read: () => void = () => undefined;
  #leave: () => void = () => undefined;
  #forget: () => void = () => undefined;

  constructor(call: SimCall, request: unknown) {
    this.#call = call;
    this.#name = call.method.path.slice(1);
    const { signal } = call.options;
    if (signal?.aborted === true) {
      this.#end = { error: cancelled(this.#name, signal.reason) };
      return;
    }
    const abort = (error: HeadroomError): void => {
      this.#leave();
      this.#over(error);
    };
    const aborted = (): void => abort(cancelled(this.#name, signal?.reason));
    signal?.addEventListener("abort", aborted, { once: true });
    const untrack = call.track(abort);
    this.#forget = () => {
      signal?.removeEventListener("abort", aborted);
      untrack();
    };
    this.#open(call.method.requestSerialize(request));
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    while (this.#messages.length === 0 && this.#end === null) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#messages.length > 0) {
      const value = this.#messages.shift();
      this.#read();
      return { done: false, value };
    }
    const error = this.#end?.error ?? null;
    // Told once; afterwards the stream is merely at its end.
    this.#end = { error: null };
    if (error !== null) throw error;
    return { done: true, value: undefined };
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#leave();
    this.#over(null);
    this.#messages.length = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  #over(error: HeadroomError | null): void {
    this.#end ??= { error };
    this.#forget();
    this.#wake();
  }

  #open(bytes: Uint8Array): void {
    const { links, caller, address } = this.#call;
    const target = this.#call.find();
    if (target === null) {
      links.engine.schedule(links.delayMs(caller.name, address), caller, `nobody at ${address}`, () =>
        this.#over(nobodyThere(address)),
      );
      return;
    }
    const there = new Lane(links, caller, target.process, `to ${this.#name}`);
    const back = new Lane(links, target.process, caller, `of ${this.#name}`);
    const gone = new AbortController();
    const conversation: Conversation = {
      from: caller,
      to: target.process,
      callerLost: () => {
        back.close();
        this.#over(connectionLost(address));
      },
      serverLost: () => gone.abort(),
    };
    const end = links.begin(conversation);
    this.#leave = () => {
      if (this.#end !== null) return;
      end();
      there.send(() => gone.abort());
    };
    const flow = { credit: window };
    let wakeServer = (): void => undefined;
    gone.signal.addEventListener("abort", () => wakeServer(), { once: true });
    this.#read = () =>
      there.send(() => {
        flow.credit += 1;
        wakeServer();
      });
    const finish = (error: HeadroomError | null): void =>
      back.send(() => {
        end();
        this.#over(error);
      });
    there.send(() => {
      this.#pump(target, bytes, gone.signal, async (message) => {
        while (flow.credit <= 0 && !gone.signal.aborted) {
          await new Promise<void>((resolve) => (wakeServer = resolve));
        }
        flow.credit -= 1;
        if (links.chance(links.weather.breaks)) links.break(conversation);
        back.send(() => {
          this.#messages.push(this.#call.method.responseDeserialize(Buffer.from(message)));
          this.#wake();
        });
      }).then(
        () => finish(null),
        // The table throws nothing else.
        (error: HeadroomError) => finish(error),
      );
    });
  }

  async #pump(
    target: Listening,
    bytes: Uint8Array,
    signal: AbortSignal,
    send: (message: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const messages = servedMethod(target, this.#call.method).invokeServerStreamBytes(
      bytes,
      this.#call.metaOf(this.#call.options.deadlineMs ?? null, signal),
    );
    for await (const message of messages) {
      if (signal.aborted) return;
      await send(message);
    }
  }
}
