import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import type { Ports, Timer } from "@headroom/runtime";
import { HeadroomError } from "../errors.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { type GrpcCall, grpcCallMeta } from "./grpc-call-meta.ts";
import type { CallMeta, Method, MethodTable } from "./method-table.ts";

/**
 * Requests of callers without a credential that are on their way at once, and streams of reflection, which asks for none. Each may take
 * the memory of the longest message.
 */
const maxUnfinished = 32;
/** How long such a request may take to be there. */
const unfinishedMs = 10_000;

export interface EarlyRefusalOptions {
  readonly methods: MethodTable;
  readonly ports: Ports;
  /** Ends the connection of this peer, and with it what was kept of its requests. */
  readonly endConnection: (peer: string) => void;
}

/**
 * Decides by the headers of a call whether its request is read at all. grpc-js reads the whole message before it asks anybody, so that
 * whoever reaches the port could make a process keep 16 MiB for each of 10,000 calls at once. (A stream both ways is asked before its
 * messages are read.)
 */
export function earlyRefusal(options: EarlyRefusalOptions): ServerInterceptor {
  const { methods, ports } = options;
  const requests = new Slots();
  const streams = new Slots();

  return (definition, call) => {
    const method = methods.get(definition.path.slice(1));
    // Of ours: the pipeline asks who it is before it reads. As it is, for grpc-js takes any call here: in one of its own wrappers each
    // message, and each answer, would pay for an interceptor that does nothing.
    if (definition.requestStream && method !== undefined) return call as ServerInterceptingCall;
    const slots = definition.requestStream ? streams : requests;
    let leave = (): void => undefined;

    const take = (): boolean => {
      const left = slots.take();
      if (left === null) return false;
      const overdue = definition.requestStream ? undefined : endLater(call.getPeer(), options);
      leave = () => {
        leave = () => undefined;
        overdue?.cancel();
        left();
      };
      return true;
    };

    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, goOn) {
            const given = metaOf(call, metadata);
            const mayBeRead = method?.isAllowed(given) !== false;
            if (mayBeRead && ((method !== undefined && given.authorization !== undefined) || take())) {
              goOn(metadata);
              return;
            }
            const known = { ...given, requestId: chooseRequestId(given.requestId, ports.random) };
            const refuse = (error: HeadroomError): void => call.sendStatus(toGrpcError(error, known.requestId));
            // The pipeline says in its own words why not, and notes it as it notes every call.
            if (method !== undefined && !mayBeRead) refusalOf(method, known).then(refuse, refuse);
            else refuse(tooManyUnfinished());
          },
          onReceiveHalfClose(goOn) {
            if (!definition.requestStream) leave();
            goOn();
          },
          onCancel: () => leave(),
        });
      },
    });
  };
}

/** So many at once. */
class Slots {
  #taken = 0;

  /** How to leave, once; null: there is none. */
  take(): (() => void) | null {
    if (this.#taken >= maxUnfinished) return null;
    this.#taken += 1;
    return () => void (this.#taken -= 1);
  }
}

function endLater(peer: string, { ports, endConnection }: EarlyRefusalOptions): Timer {
  return ports.timers.after(unfinishedMs, () => endConnection(peer), { keepAlive: false });
}

function metaOf(call: Pick<GrpcCall, "getPeer" | "getDeadline">, metadata: Metadata): CallMeta {
  const facts: GrpcCall = {
    metadata,
    getPeer: () => call.getPeer(),
    getDeadline: () => call.getDeadline(),
    on: () => undefined,
  };
  return grpcCallMeta(facts, undefined);
}

/** What the pipeline answers to a caller whom it does not admit. The request is not looked at. */
async function refusalOf(method: Method, meta: CallMeta): Promise<HeadroomError> {
  const nothing = new Uint8Array();
  if (method.kind === "unary") await method.invokeUnaryBytes(nothing, meta);
  else await method.invokeServerStreamBytes(nothing, meta)[Symbol.asyncIterator]().next();
  return new HeadroomError({
    code: "PERMISSION_DENIED",
    reason: "NOT_ALLOWED",
    message: `${method.name} is not for you`,
  });
}

function tooManyUnfinished(): HeadroomError {
  return new HeadroomError({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_UNFINISHED_REQUESTS",
    message: `${maxUnfinished} requests without a credential are on their way already; try again, or show the token`,
    retryAfterMs: 1_000,
  });
}
