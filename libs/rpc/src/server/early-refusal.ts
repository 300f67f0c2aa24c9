import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import type { Ports, Timer } from "@headroom/runtime";
import { HeadroomError } from "../errors.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { type GrpcCall, grpcCallMeta } from "./grpc-call-meta.ts";
import type { CallMeta, Method, MethodTable } from "./method-table.ts";

/** Requests of callers without a credential that are on their way at once. Each may take the memory of the longest message. */
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
  const { methods, ports, endConnection } = options;
  let unfinished = 0;

  return (definition, call) => {
    if (definition.requestStream) return new ServerInterceptingCall(call);
    const method = methods.get(definition.path.slice(1));
    let overdue: Timer | undefined;
    const finished = (): void => {
      if (overdue === undefined) return;
      overdue.cancel();
      overdue = undefined;
      unfinished -= 1;
    };
    const metaOf = (metadata: Metadata): CallMeta & { readonly requestId: string } => {
      const facts: GrpcCall = {
        metadata,
        getPeer: () => call.getPeer(),
        getDeadline: () => call.getDeadline(),
        on: () => undefined,
      };
      const given = grpcCallMeta(facts, undefined);
      return { ...given, requestId: chooseRequestId(given.requestId, ports.random) };
    };

    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, goOn) {
            const meta = metaOf(metadata);
            const refuse = (error: HeadroomError): void => call.sendStatus(toGrpcError(error, meta.requestId));
            if (method?.isAllowed(meta) === false) {
              // The pipeline says the same in its own words, and notes it as it notes every call.
              refusalOf(method, meta).then(refuse, refuse);
            } else if (meta.authorization !== undefined) {
              goOn(metadata);
            } else if (unfinished >= maxUnfinished) {
              refuse(tooManyUnfinished());
            } else {
              unfinished += 1;
              overdue = ports.timers.after(unfinishedMs, () => endConnection(call.getPeer()), { keepAlive: false });
              goOn(metadata);
            }
          },
          onReceiveHalfClose(goOn) {
            finished();
            goOn();
          },
          onCancel: finished,
        });
      },
    });
  };
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
