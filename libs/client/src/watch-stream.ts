import { type CallOptions, HeadroomError, isTlsFailure } from "@headroom/rpc";
import { jitter, sleep } from "@headroom/runtime";
import type { ClientContext } from "./caller.ts";
import { type ClientError, type ClientErrorKind, toClientError } from "./result.ts";

/** What a watch tells. After `failed` nothing follows; a watch that ends without it has told everything. */
export type WatchItem<T> =
  | { readonly kind: "item"; readonly value: T }
  /** The connection was lost; the watch goes on by itself after the time given, from where it was. */
  | { readonly kind: "interrupted"; readonly error: ClientError; readonly retryInMs: number }
  | { readonly kind: "failed"; readonly error: ClientError };

export interface WatchStreamOptions<T> {
  readonly context: ClientContext;
  readonly signal: AbortSignal | undefined;
  /** Opens the stream, from where the reader is by now. */
  open(options: CallOptions): Promise<AsyncIterable<T>>;
  /** Called before an item is passed on, so that `open` knows where to go on; false: passed on before, leave it out. */
  accept?(item: T): T | null;
  /** Nothing more is to come after this item, so the end of the stream is the end. */
  isLast(item: T): boolean;
  /** A clean end of the stream is the end even without an item. */
  readonly endIsEnd?: boolean;
  /** Asked when a stream ends cleanly without its last item: a watch from behind the last event has nothing to tell. */
  confirmEnd?(): Promise<boolean>;
  /** Whether this failure of the very first try, before anything came, is the end; left out: it is not. */
  isEndAtFirst?(error: ClientError): boolean;
}

const firstRetryMs = 250;
const longestRetryMs = 10_000;

/** Failures of the connection or of a service that restarts. What else does not say when to come back would fail again in the same way. */
const retried: ReadonlySet<ClientErrorKind> = new Set(["unavailable", "internal", "timeout"]);
/** A cancellation that this program asked for; any other comes from what stands between it and the service. */
const closedHere: ReadonlySet<string> = new Set(["CLIENT_CLOSED", "CHANNEL_CLOSED"]);
/** A service that answers INTERNAL again and again has a fault that no patience mends. */
const maxInternalInARow = 5;

/** A server stream that outlives its connection: reconnects with backoff until it has told everything. */
export async function* watchStream<T>(options: WatchStreamOptions<T>): AsyncGenerator<WatchItem<T>, void, undefined> {
  const { context, signal } = options;
  let failures = 0;
  let internalInARow = 0;
  let isFirst = true;
  for (;;) {
    let error: ClientError;
    let canHeal: boolean;
    try {
      const stream = await options.open(signal === undefined ? {} : { signal });
      let ended = options.endIsEnd ?? false;
      for await (const item of stream) {
        failures = 0;
        internalInARow = 0;
        isFirst = false;
        const accepted = options.accept === undefined ? item : options.accept(item);
        if (accepted !== null) yield { kind: "item", value: accepted };
        ended = options.isLast(item);
      }
      if (ended || ((await options.confirmEnd?.()) ?? false)) return;
      error = streamEnded();
      canHeal = true;
    } catch (thrown) {
      error = toClientError(thrown);
      canHeal = mayHeal(error) && !(thrown instanceof HeadroomError && isTlsFailure(thrown));
    }
    if (signal?.aborted === true) return;
    internalInARow = error.kind === "internal" ? internalInARow + 1 : 0;
    const isOver = isFirst && (options.isEndAtFirst?.(error) ?? false);
    if (isOver || !canHeal || internalInARow >= maxInternalInARow) {
      yield { kind: "failed", error };
      return;
    }
    isFirst = false;
    const backoffMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures, 10));
    const retryInMs = Math.round(jitter(context.ports.random, error.retryAfterMs ?? backoffMs, 0.25));
    failures += 1;
    yield { kind: "interrupted", error, retryInMs };
    try {
      await sleep(context.ports.timers, retryInMs, signal);
    } catch {
      return;
    }
  }
}

function mayHeal({ kind, reason, retryAfterMs }: ClientError): boolean {
  if (kind === "cancelled") return !closedHere.has(reason);
  return retried.has(kind) || retryAfterMs !== null;
}

function streamEnded(): ClientError {
  return {
    kind: "unavailable",
    code: "UNAVAILABLE",
    reason: "STREAM_ENDED",
    message: "the service ended the stream early; it is probably restarting",
    fieldViolations: [],
    retryAfterMs: null,
    requestId: null,
    metadata: {},
  };
}
