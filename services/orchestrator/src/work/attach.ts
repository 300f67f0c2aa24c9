import type { wire } from "@headroom/contracts";
import { type CallContext, failedPrecondition, HeadroomError, requireOwnId, unavailable } from "@headroom/rpc";
import type { Ports } from "@headroom/runtime";
import type { AgentMessages } from "./agent-messages.ts";
import { KeyedChains } from "./keyed-chains.ts";
import { OutputBatches } from "./output-batches.ts";
import { Session, type WorkStream } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { welcomeAgent, type WelcomeOptions } from "./welcome.ts";

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

/**
 * The life of one work stream: hello, welcome, then messages until either side ends it. All of one attempt is handled in order, and so
 * are the renewals among themselves.
 */
export function attach(options: AttachOptions, stream: WorkStream, context: CallContext): void {
  const chains = new KeyedChains(maxInWork);
  const outputs = new OutputBatches();
  let session: Session | null = null;

  function giveUp(error: unknown): void {
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
      isBusy: () => chains.pending > 0,
      clock: options.ports.clock,
    });
    session = begun;
    options.sessions.add(begun);
    await welcomeAgent(options, begun, hello);
    logger.info({ incarnation: hello.incarnation, attempts: hello.attempts.length }, "agent attached");
  }

  /** A promise: no more may come before it resolves. */
  function take(current: Session, message: AfterHello): Promise<void> | undefined {
    if (message.$case === "reports") return takeAll(current, message.value.reports);
    // Before it is handled: that it cannot be written now is not its agent's silence.
    if (message.$case !== "renew") current.heard(message.value.attemptId);
    else for (const { attemptId } of message.value.attempts) current.heard(attemptId);
    if (message.$case === "output") {
      outputs.add(message.value);
      const { attemptId } = message.value;
      return chains.add(attemptId, () => options.messages.output(current, outputs.take(attemptId)).catch(giveUp));
    }
    const handle = (): Promise<void> => options.messages.handle(current, message).catch(giveUp);
    // The store takes reports of one attempt in the order in which they are told, so they need not wait for each other's commit;
    // a result waits for the output before it.
    if (message.$case === "answer" || message.$case === "started") return chains.addLoose(handle);
    return chains.add(message.$case === "renew" ? message.$case : message.value.attemptId, handle);
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
