import type { wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { sleep, type Logger, type Ports } from "@headroom/runtime";
import { isTransient, reconnectDelayMs } from "../connection/backoff.ts";
import { credentialPath, digestOf, readCredentialFile, writeCredentialFile } from "./credential-file.ts";

/** `AgentService.EnrollAgent`, as a port. Rejects with HeadroomError. */
export type Enroller = (request: wire.EnrollAgentRequest, signal: AbortSignal) => Promise<wire.EnrollAgentResponse>;

export interface EnrolOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly agentDir: string;
  readonly joinToken: string;
  /** Who the agent is, and where it wants to belong. */
  readonly about: Pick<wire.EnrollAgentRequest, "agentId" | "hostname" | "poolName" | "agentType">;
  readonly enroll: Enroller;
}

/**
 * Exchanges the join token for a credential of this agent, once: with a token that was exchanged before nothing happens. Waits
 * for a registry that is away, until `signal` aborts. Rejects with HeadroomError when the registry refuses an agent that has no credential, and
 * with CredentialFileError. One that has a credential goes on with it: its streams tell if that is void.
 */
export async function enrol(options: EnrolOptions, signal: AbortSignal): Promise<void> {
  const { agentDir, joinToken, about, logger, ports } = options;
  const path = credentialPath(agentDir);
  const joinTokenDigest = digestOf(joinToken);
  const before = await readCredentialFile(path);
  const isSame = before?.joinTokenDigest === joinTokenDigest;
  if (isSame && before.credential !== null) {
    logger.info("the agent has joined with this token before; it needs it no more");
    return;
  }
  // Noted before it is sent: if the answer is lost, the next try is the same request and costs no second use of the token. The
  // credential of another token is kept until the new one is here.
  const requestId = isSame ? before.requestId : ports.random.uuid();
  const hasCredential = typeof before?.credential === "string";
  if (!hasCredential) await writeCredentialFile(path, { joinTokenDigest, requestId, credential: null });
  const request = { ...about, joinToken, requestId };
  const refused = (error: unknown): null => goOn(error, logger, hasCredential && !signal.aborted);
  const answer = await exchange(options, request, signal).catch(refused);
  if (answer === null) return;
  const { credential } = answer;
  await writeCredentialFile(path, { joinTokenDigest, requestId, credential });
  logger.info({ file: path }, "the agent has joined; its credential is kept");
}

/** An environment that many share is given a new token now and then; most that read it have joined with an older one. */
function goOn(error: unknown, logger: Logger, hasCredential: boolean): null {
  if (!hasCredential || !(error instanceof HeadroomError)) throw error;
  logger.warn(
    { err: error },
    `the join token is refused (${error.reason}); the agent has joined before and goes on with its credential: take the join token away`,
  );
  return null;
}

async function exchange(
  { enroll, ports, logger }: EnrolOptions,
  request: wire.EnrollAgentRequest,
  signal: AbortSignal,
): Promise<wire.EnrollAgentResponse> {
  let said: string | undefined;
  for (let failures = 1; ; failures += 1) {
    try {
      return await enroll(request, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HeadroomError) || !isTransient(error)) throw error;
      const delayMs = reconnectDelayMs(failures, error, ports.random.next());
      const fields = { err: error, failures, retry_in_ms: Math.round(delayMs) };
      if (error.reason !== said) logger.warn(fields, "the registry cannot be asked to let this agent join; trying on");
      else logger.debug(fields, "the registry still cannot be asked to let this agent join");
      said = error.reason;
      await sleep(ports.timers, delayMs, signal);
    }
  }
}
