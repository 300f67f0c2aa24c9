import type { wire } from "@headroom/contracts";
import { type CallContext, failedPrecondition, HeadroomError, requireOwnId, unavailable } from "@headroom/rpc";
import type { Ports } from "@headroom/runtime";
import type { AgentMessages } from "./agent-messages.ts";
import type { AttemptKnown } from "../store/model.ts";
import { KeyedChains } from "./keyed-chains.ts";
import { type OutputBatch, OutputBatches } from "./output-batches.ts";
import { Session, type WorkStream } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { sendWhenFree, welcomeAgent, type WelcomeOptions } from "./welcome.ts";

export interface AttachOptions extends WelcomeOptions {
  readonly ports: Ports;
  readonly sessions: Sessions;
  readonly messages: AgentMessages;
  /** Translates a failure of the store. */
  readonly mapError: (error: unknown) => HeadroomError | null;
}

type AfterHello = Exclude<NonNullable<wire.AttachRequest["message"]>, { $case: "hello" }>;

/** Messages of one agent that may be in work at once: they are committed in groups. Its stream is read on as they end. */
const maxInWork = 1_024;
/** Besides those of plans that somebody keeps locked: acceptance, start, output and result of as many attempts as an agent may have. */
const maxAside = 16_384;

/**
 * The life of one work stream: hello, welcome, then messages until either side ends it. All of one attempt is handled in order, and so
 * are the renewals among themselves.
 */
export function attach(options: AttachOptions, stream: WorkStream, context: CallContext): void {
  const chains = new KeyedChains(maxInWork, maxAside);
  const outputs = new OutputBatches();
  let session: Session | null = null;
  let isAskedToReconnect = false;

  function giveUp(error: unknown): void {
    // Nobody waits any more for what somebody kept locked.
    if (session?.isClosed === true) return;
    const known = error instanceof HeadroomError ? error : options.mapError(error);
    if (known === null) context.logger.error({ err: error }, "a message of an agent could not be handled");
    // The agent keeps what was not acknowledged, comes back and says it again.
    session?.fail(
      known ??
        unavailable("TRY_AGAIN", "the orchestrator could not handle a message; it is to be sent again", 1_000, error),
    );
  }

  async function begin(hello: wire.AttachHello): Promise<void> {
    const agentId = hello.agentId.toLowerCase();
    requireOwnId(context.caller, agentId);
    const logger = context.logger.child({ agent_id: agentId });
    const begun = new Session({
      agentId,
      sessionId: options.ports.random.uuid(),
      stream,
      logger,
      takesItems: hello.takesItems,
      inWork: chains,
      clock: options.ports.clock,
    });
    session = begun;
    options.sessions.add(begun);
    await welcomeAgent(
      options,
      begun,
      hello,
      (attempt) => accept(begun, attempt),
      (attemptIds) => void sendWhenFree(options, begun, attemptIds).catch(giveUp),
    );
    logger.info({ incarnation: hello.incarnation, attempts: hello.attempts.length }, "agent attached");
  }

  /** One at a time of each attempt: should there be no room for it, the next renewal finds it again. */
  function accept(current: Session, attempt: AttemptKnown): void {
    chains.addAside(`accept ${attempt.attemptId}`, () => options.messages.acceptHeld(current, attempt).catch(giveUp));
  }

  /** A promise: no more may come before it resolves. */
  function take(current: Session, message: AfterHello): Promise<void> | undefined {
    if (message.$case === "reports") return takeAll(current, message.value.reports);
    // Before it is handled: that it cannot be written now is not its agent's silence.
    if (message.$case !== "renew") current.heard(message.value.attemptId);
    else for (const { attemptId } of message.value.attempts) current.heard(attemptId);
    if (message.$case === "output") return takeOutput(current, message.value);
    const handle = (): Promise<void> =>
      options.messages.handle(current, message, (attempt) => accept(current, attempt)).catch(giveUp);
    if (message.$case === "renew") return chains.add(message.$case, handle);
    // The store takes reports of one attempt in the order in which they are told, so they need not wait for each other's commit;
    // a result waits for the output before it.
    if (message.$case !== "finished") return chains.addLoose(keyOf(message.value), handle);
    const result = { attemptId: keyOf(message.value), fence: message.value.fence };
    if (current.results.has(result)) return undefined;
    current.results.add(result);
    return chains.add(result.attemptId, () => handle().finally(() => current.results.take(result)));
  }

  function takeOutput(current: Session, piece: wire.AttemptOutput): Promise<void> | undefined {
    const key = keyOf(piece);
    if (outputs.hasLeftOut(key) || (chains.isAside(key) && outputs.leavesOut(key, (other) => chains.isAside(other))))
      return undefined;
    const batch = outputs.add(key, piece);
    return batch === null ? undefined : chains.add(key, () => writeOutput(current, batch).catch(giveUp));
  }

  async function writeOutput(current: Session, batch: OutputBatch): Promise<void> {
    outputs.close(batch);
    try {
      await options.messages.output(current, batch.pieces);
    } finally {
      outputs.end(batch);
    }
    // Nobody keeps it locked any more: what was left out comes with the next stream.
    if (!outputs.hasLeftOut(batch.attemptId) || current.isClosed || isAskedToReconnect) return;
    isAskedToReconnect = true;
    current.askToReconnect(0);
  }

  function takeAll(current: Session, reports: readonly wire.AttemptReport[]): Promise<void> | undefined {
    for (const [index, { report }] of reports.entries()) {
      const full = report === undefined ? undefined : take(current, report);
      if (full !== undefined) return full.then(() => takeAll(current, reports.slice(index + 1)));
    }
    return undefined;
  }

  stream.onMessage(({ message }) => {
    if (session === null) {
      if (message?.$case === "hello") return begin(message.value);
      throw failedPrecondition("HELLO_EXPECTED", "the first message of a work stream is `hello`");
    }
    if (message === undefined) return;
    if (message.$case === "hello")
      throw failedPrecondition("HELLO_TWICE", "`hello` is the first message of a work stream and comes once");
    return take(session, message);
  });
  stream.onPeerEnd(() => stream.end());
  stream.onClose((error) => {
    if (session === null) return;
    options.sessions.remove(session);
    session.logger.info({ err: error ?? undefined }, "agent detached");
  });
}

/** As the store writes it. */
function keyOf({ attemptId }: { readonly attemptId: string }): string {
  return attemptId.toLowerCase();
}
