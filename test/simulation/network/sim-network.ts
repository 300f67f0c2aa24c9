import {
  type AnyMethod,
  type CallMeta,
  type CallOptions,
  type Channel,
  type ChannelOptions,
  createServerOn,
  HeadroomError,
  type HttpServer,
  type Method,
  type MethodTable,
  type Network,
  type ServerTransport,
} from "@headroom/rpc";
import { formatHostPort, lifecycle } from "@headroom/runtime";
import type { SimProcess } from "../engine/sim-process.ts";
import { callDuplex } from "./call-duplex.ts";
import { callServerStream } from "./call-server-stream.ts";
import { callUnary } from "./call-unary.ts";
import { Links } from "./links.ts";
import type { Engine } from "../engine/engine.ts";

/** A server that listens. */
export interface Listening {
  readonly process: SimProcess;
  readonly methods: MethodTable;
}

/** One call as the simulated network carries it. */
export interface SimCall {
  readonly links: Links;
  readonly caller: SimProcess;
  readonly address: string;
  /** Who answers at the address now; null: nobody. Of several one at random, as a balancer chooses. */
  find(): Listening | null;
  readonly method: AnyMethod;
  readonly options: CallOptions;
  metaOf(deadlineLeftMs: number | null, signal?: AbortSignal): CallMeta;
  /** Registers the call, to be ended when the channel is closed. */
  track(abort: (error: HeadroomError) => void): () => void;
  /** Its caller has the answer. */
  heard(request: unknown, answer: unknown): void;
}

/** The network of a world. Servers that share an address stand behind one balancer. */
export class SimNetwork {
  readonly links: Links;
  /** Told of each answer that its caller heard. */
  onHeard: (path: string, request: unknown, answer: unknown) => void = () => undefined;
  readonly #listening = new Map<string, Set<Listening>>();

  constructor(engine: Engine) {
    this.links = new Links(engine);
  }

  /** The network as one process has it. */
  for(owner: SimProcess): Network {
    return {
      channel: (options) => this.#channel(owner, options),
      rpcServer: (options) => createServerOn(this.#transport(owner), options),
      httpServer: (options) => withoutRest(options.name),
    };
  }

  #transport(process: SimProcess): ServerTransport {
    return {
      open: (calls) => {
        const address = formatHostPort(calls.address);
        const listening: Listening = { process, methods: calls.methods };
        const all = this.#listening.get(address) ?? new Set();
        this.#listening.set(address, all);
        all.add(listening);
        const leave = (): void => void all.delete(listening);
        process.onDeath(leave);
        calls.health.setUp(true);
        return Promise.resolve({
          address: calls.address,
          drain: () => {
            leave();
            return this.links.idle(process);
          },
          destroy: () => this.links.processDied(process, false),
        });
      },
    };
  }

  #channel(caller: SimProcess, options: ChannelOptions): Channel {
    const address = typeof options.address === "string" ? options.address : formatHostPort(options.address);
    const calls = new Set<(error: HeadroomError) => void>();
    const callOf = (method: AnyMethod, callOptions: CallOptions): SimCall => ({
      links: this.links,
      caller,
      address,
      method,
      options: callOptions,
      find: () => this.#find(address),
      metaOf: (deadlineLeftMs, signal) => ({
        transport: "grpc",
        peer: "127.0.0.1:50000",
        authorization: options.token === undefined ? undefined : `Bearer ${options.token}`,
        requestId: callOptions.requestId ?? caller.ports.random.uuid(),
        traceparent: callOptions.traceparent,
        deadlineLeftMs,
        ...(signal !== undefined && { signal }),
      }),
      heard: (request, answer) => this.onHeard(method.path, request, answer),
      track(abort) {
        calls.add(abort);
        return () => void calls.delete(abort);
      },
    });
    return {
      address,
      unary: (method, request, callOptions = {}) => callUnary(callOf(method, callOptions), request),
      serverStream: (method, request, callOptions = {}) => callServerStream(callOf(method, callOptions), request),
      duplex: (method, callOptions = {}) => callDuplex(callOf(method, callOptions)),
      // Each call finds its server anew.
      reconnect: () => undefined,
      close() {
        const error = new HeadroomError({
          code: "CANCELLED",
          reason: "CHANNEL_CLOSED",
          message: "the channel was closed",
        });
        for (const abort of [...calls]) abort(error);
      },
    };
  }

  #find(address: string): Listening | null {
    const all = [...(this.#listening.get(address) ?? [])];
    if (all.length === 0) return null;
    return all[this.links.engine.random.int(0, all.length - 1)] ?? null;
  }
}

/** The method that a client's definition names, at a server. */
export function servedMethod({ methods }: Listening, { path }: AnyMethod): Method {
  const method = methods.get(path.slice(1));
  if (method === undefined) throw new Error(`nobody serves ${path}`);
  return method;
}

/** REST goes through the same method table; it has no part in a simulation. */
function withoutRest(name: string): HttpServer {
  const service = lifecycle({ name: `${name} http`, start: () => undefined });
  return {
    name: service.name,
    start: () => service.start(),
    stop: (reason) => service.stop(reason),
    state: () => service.state(),
    address: null,
  };
}
