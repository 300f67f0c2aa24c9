import { methodOptions } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { jitter } from "@headroom/runtime";
import type { Conversation } from "./links.ts";
import { cancelled, connectionLost, nobodyThere, tooLate } from "./lost.ts";
import { servedMethod, type SimCall } from "./sim-network.ts";

/** As the client over sockets has it. */
const defaultDeadlineMs = 10_000;
const maxAttempts = 4;
const firstBackoffMs = 100;
const longestBackoffMs = 2_000;
const oldestCopyMs = 15_000;

/** One question, one answer, with gRPC's retries: what may be repeated is asked again while the server is UNAVAILABLE. */
export function callUnary(call: SimCall, request: unknown): Promise<unknown> {
  const { caller, address, method, options, links } = call;
  const name = method.path.slice(1);
  const { signal, deadlineMs = defaultDeadlineMs } = options;
  const bytes = method.requestSerialize(request);
  const idempotency = methodOptions(name)?.idempotency ?? "unknown";
  const mayRepeat = idempotency !== "unknown";
  const endsAtMs = links.engine.nowMs + deadlineMs;

  return new Promise((resolve, reject) => {
    let isOver = false;
    let abortAttempt: () => void = () => undefined;
    const finish = (tell: () => void): void => {
      if (isOver) return;
      isOver = true;
      deadline.cancel();
      untrack();
      signal?.removeEventListener("abort", aborted);
      tell();
    };
    const giveUp = (error: HeadroomError): void =>
      finish(() => {
        abortAttempt();
        reject(error);
      });
    const aborted = (): void => giveUp(cancelled(name, signal?.reason));
    const deadline = caller.ports.timers.after(deadlineMs, () => giveUp(tooLate(address, name)));
    const untrack = call.track(giveUp);
    if (signal?.aborted === true) return aborted();
    signal?.addEventListener("abort", aborted, { once: true });

    const attempt = (number: number): void => {
      if (isOver) return;
      abortAttempt = tryOnce(call, bytes, endsAtMs - links.engine.nowMs, mayRepeat, {
        answered: (answer) =>
          finish(() => {
            const heard: unknown = method.responseDeserialize(Buffer.from(answer));
            call.heard(request, heard);
            resolve(heard);
          }),
        failed(error) {
          if (!mayRepeat || number >= maxAttempts || error.code !== "UNAVAILABLE") return finish(() => reject(error));
          const pauseMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** (number - 1));
          caller.ports.timers.after(jitter(caller.ports.random, pauseMs, 0.2), () => attempt(number + 1));
        },
      });
    };
    attempt(1);
  });
}

interface Outcome {
  answered(bytes: Uint8Array): void;
  failed(error: HeadroomError): void;
}

/** Answers how to abort it, when its caller has given up. */
function tryOnce(call: SimCall, bytes: Uint8Array, leftMs: number, mayRepeat: boolean, outcome: Outcome): () => void {
  const { links, caller, address, method } = call;
  const { engine } = links;
  const name = method.path.slice(1);
  const target = call.find();
  if (target === null) {
    engine.schedule(links.delayMs(caller.name, address), caller, `nobody at ${address}`, () =>
      outcome.failed(nobodyThere(address)),
    );
    return () => undefined;
  }
  const { process } = target;
  const gone = new AbortController();
  let isOver = false;
  const once = (tell: () => void): void => {
    if (isOver) return;
    isOver = true;
    end();
    tell();
  };
  const conversation: Conversation = {
    from: caller,
    to: process,
    callerLost: () => once(() => outcome.failed(connectionLost(address))),
    serverLost: () => gone.abort(),
  };
  const end = links.begin(conversation);
  const serve = (reply: (tell: () => void) => void): void => {
    servedMethod(target, method)
      .invokeUnaryBytes(bytes, call.metaOf(Math.max(0, leftMs), gone.signal))
      .then(
        (answer) => reply(() => outcome.answered(answer)),
        // The table rejects with nothing else.
        (error: HeadroomError) => reply(() => outcome.failed(error)),
      );
  };
  // What came while the process stood still is read at once: that the caller has given up, too, before the call is begun.
  const arrive = (inMs: number, how: string, reply: (tell: () => void) => void): void => {
    engine.schedule(inMs, process, `${name} arrives${how}`, () => {
      engine.schedule(0, process, `serves ${name}${how}`, () => serve(reply));
    });
  };
  const arriveIn = links.delayMs(caller.name, process.name);
  if (links.chance(links.weather.breaks)) links.break(conversation);
  else {
    arrive(arriveIn, "", (tell) => {
      if (links.chance(links.weather.breaks)) return links.break(conversation);
      const backMs = links.delayMs(process.name, caller.name);
      links.answered(caller, name, backMs);
      engine.schedule(backMs, caller, `answer of ${name}`, () => once(tell));
    });
    if (mayRepeat && links.chance(links.weather.doubles)) {
      // A copy may have waited somewhere until what it asks for is long over.
      const waitsMs = links.chance(0.5) ? links.engine.random.next() * oldestCopyMs : 0;
      const againMs = links.delayMs(caller.name, process.name) + waitsMs;
      arrive(againMs, " twice", () => undefined);
    }
  }
  return () =>
    once(() => {
      engine.schedule(links.delayMs(caller.name, process.name), process, `caller of ${name} gave up`, () =>
        gone.abort(),
      );
    });
}
