import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import type { Ports, Timer } from "@headroom/runtime";
import { HeadroomError } from "../errors.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { CallBound } from "./call-bound.ts";
import { type GrpcCall, grpcCallMeta } from "./grpc-call-meta.ts";
import type { CallMeta, Method, MethodTable } from "./method-table.ts";

/**
 * Requests of callers without a credential that are on their way at once, and streams of reflection, which asks for none. Each may take
 * the memory of the longest message.
 */
const maxUnfinished = 32;
/** How long such a request may take to be there. */
const unfinishedMs = 10_000;
/** Calls of such callers that have not ended. Each may have an answer of 1,000 agents, half a MiB, that its caller does not read. */
const maxOpen = 512;

export interface EarlyRefusalOptions {
  readonly methods: MethodTable;
  readonly ports: Ports;
  /** Ends the connection of this peer, and with it what was kept of its calls. */
  readonly endConnection: (peer: string, why: "unfinished request" | "calls that do not end") => void;
}

/**
 * Decides by the headers of a call whether its request is read at all. grpc-js reads the whole message before it asks anybody, so that
 * whoever reaches the port could make a process keep 16 MiB for each of 10,000 calls at once. (A stream both ways is asked before its
 * messages are read.) What callers without a credential hold is bounded until their calls end.
 */
export function earlyRefusal(options: EarlyRefusalOptions): ServerInterceptor {
  const { methods, ports } = options;
  const endUnfinished = (peer: string): void => options.endConnection(peer, "unfinished request");
  const endOpen = (peer: string): void => options.endConnection(peer, "calls that do not end");
  const requests = new CallBound({ max: maxUnfinished, endConnection: endUnfinished });
  const streams = new CallBound({ max: maxUnfinished, endConnection: endOpen });
  const open = new CallBound({ max: maxOpen, endConnection: endOpen });

  return (definition, call) => {
    const method = methods.get(definition.path.slice(1));
    // Of ours: the pipeline asks who it is before it reads. As it is, for grpc-js takes any call here: in one of its own wrappers each
    // message, and each answer, would pay for an interceptor that does nothing.
    if (definition.requestStream && method !== undefined) return call as ServerInterceptingCall;
    const unfinished = definition.requestStream ? streams : requests;
    let arrived = (): void => undefined;
    let ended = (): void => undefined;

    const take = (): HeadroomError | null => {
      const peer = call.getPeer();
      const leaveUnfinished = unfinished.take(peer);
      if (leaveUnfinished === null) return tooMany(`${maxUnfinished} requests without a credential are on their way`);
      const leaveOpen = open.take(peer);
      if (leaveOpen === null) {
        leaveUnfinished();
        return tooMany(`${maxOpen} calls without a credential are open`);
      }
      const overdue = definition.requestStream ? undefined : endLater(ports, () => endUnfinished(peer));
      arrived = () => {
        overdue?.cancel();
        leaveUnfinished();
      };
      ended = () => {
        arrived();
        leaveOpen();
      };
      return null;
    };

    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, goOn) {
            const given = metaOf(call, metadata);
            const mayBeRead = method?.isAllowed(given) !== false;
            const isKnown = method !== undefined && given.authorization !== undefined;
            const noRoom = mayBeRead && !isKnown ? take() : null;
            if (mayBeRead && noRoom === null) {
              goOn(metadata);
              return;
            }
            const known = { ...given, requestId: chooseRequestId(given.requestId, ports.random) };
            const refuse = (error: HeadroomError): void => call.sendStatus(toGrpcError(error, known.requestId));
            // The pipeline says in its own words why not, and notes it as it notes every call.
            if (noRoom !== null) refuse(noRoom);
            else if (method !== undefined) refusalOf(method, known).then(refuse, refuse);
          },
          onReceiveHalfClose(goOn) {
            if (!definition.requestStream) arrived();
            goOn();
          },
          // grpc-js says so of every call at its end, when the answer is out.
          onCancel: () => ended(),
        });
      },
    });
  };
}

function endLater({ timers }: Ports, end: () => void): Timer {
  return timers.after(unfinishedMs, end, { keepAlive: false });
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

function tooMany(what: string): HeadroomError {
  return new HeadroomError({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_UNFINISHED_REQUESTS",
    message: `${what} already, most of them over your connection; try again, or show the token`,
    retryAfterMs: 1_000,
  });
}
