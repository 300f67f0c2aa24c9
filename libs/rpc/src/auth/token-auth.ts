import { createHash, timingSafeEqual } from "node:crypto";
import type { Caller, Role } from "../call.ts";
import { HeadroomError } from "../errors.ts";
import { type AgentCredentials, createAgentCredentials, looksLikeCredential } from "./agent-credential.ts";
import type { AccessRequest, AuthPolicy } from "./auth-policy.ts";
import { isLoopbackPeer } from "./bind-address.ts";

export interface TokenAuthOptions {
  /** The token that callers show. It holds all roles on this machine; from elsewhere all but that of an agent. */
  readonly token: string;
  /** Where it lies on this machine, for the error's way out. */
  readonly tokenFile?: string;
}

const localRoles: ReadonlySet<Role> = new Set<Role>(["agent", "planner", "operator"]);
const remoteRoles: ReadonlySet<Role> = new Set<Role>(["planner", "operator"]);
const agentRoles: ReadonlySet<Role> = new Set<Role>(["agent"]);
const noRoles: ReadonlySet<Role> = new Set<Role>();

/**
 * `authorization: Bearer TOKEN` for everything that is not open. The token is the one of this Headroom, or the credential of an
 * agent, which holds the role of an agent and no other. Agents on other machines show a credential: the token would make every
 * desktop an operator.
 */
export function createTokenAuth(options: TokenAuthOptions): AuthPolicy {
  // Digests have one length, so that the comparison takes the same time for every guess.
  const expected = digest(options.token);
  const credentials = createAgentCredentials(options.token);
  return {
    requiresCredential: true,
    authorize(request): Caller {
      if (request.authorization === undefined) {
        if (request.access === "open") return { roles: noRoles, peer: request.peer };
        throw tokenRequired(request, options.tokenFile);
      }
      const shown = /^Bearer +(\S+) *$/i.exec(request.authorization)?.[1];
      if (shown !== undefined && looksLikeCredential(shown)) return agentCaller(credentials, shown, request.peer);
      if (shown !== undefined && timingSafeEqual(digest(shown), expected)) return tokenCaller(request);
      // A caller who shows a wrong token believes to be someone: saying nothing would hide the mistake.
      throw tokenInvalid(shown === undefined, options.tokenFile);
    },
  };
}

function tokenCaller({ access, method, peer }: AccessRequest): Caller {
  if (isLoopbackPeer(peer)) return { roles: localRoles, peer };
  if (access !== "agent") return { roles: remoteRoles, peer };
  throw new HeadroomError({
    code: "PERMISSION_DENIED",
    reason: "ENROLMENT_REQUIRED",
    message:
      `${method} is for agents, and an agent on another machine shows a credential of its own and not the token: ` +
      'make a join token with "headroom agents token create" and start the agent with "headroom agent --join TOKEN"',
  });
}

function agentCaller(credentials: AgentCredentials, shown: string, peer: string): Caller {
  const agent = credentials.read(shown);
  if (agent !== null) return { roles: agentRoles, peer, agent };
  throw new HeadroomError({
    code: "UNAUTHENTICATED",
    reason: "CREDENTIAL_INVALID",
    message:
      "the agent's credential is not of this Headroom, or its token was changed since; " +
      'remove the agent once it is offline ("headroom agents remove ID"), make a join token ("headroom agents token create") ' +
      'and start the agent with "headroom agent --join TOKEN"',
  });
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function tokenRequired(request: AccessRequest, tokenFile: string | undefined): HeadroomError {
  return new HeadroomError({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_REQUIRED",
    message: `${request.method} needs the token; ${howToPass(tokenFile)}`,
    ...whereIs(tokenFile),
  });
}

function tokenInvalid(malformed: boolean, tokenFile: string | undefined): HeadroomError {
  const what = malformed
    ? 'the authorization header is not of the form "Bearer TOKEN"'
    : "the token is not the one of this server";
  return new HeadroomError({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_INVALID",
    message: `${what}; ${howToPass(tokenFile)}`,
    ...whereIs(tokenFile),
  });
}

/** The server cannot tell a program from a browser: each kind of caller finds its own way in the one sentence. */
function howToPass(tokenFile: string | undefined): string {
  const file = tokenFile ?? "FILE";
  const where = tokenFile === undefined ? "" : `the token lies in ${tokenFile} on the server's machine; `;
  const header = tokenFile === undefined ? "TOKEN" : `$(cat ${tokenFile})`;
  return (
    `${where}pass it with --token-file ${file} or HEADROOM_TOKEN_FILE (programs), ` +
    `--join JOIN_TOKEN (an agent on another machine), -H "authorization: Bearer ${header}" (REST)`
  );
}

function whereIs(tokenFile: string | undefined): { metadata?: Record<string, string> } {
  return tokenFile === undefined ? {} : { metadata: { token_file: tokenFile } };
}
