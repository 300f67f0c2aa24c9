import { HeadroomError } from "../errors.ts";
import type { Caller } from "../call.ts";
import { createSealed } from "./sealed.ts";

/** What an agent's credential says. */
export interface AgentCredential {
  /** The one agent that it speaks for. */
  readonly agentId: string;
  /** Names the credential itself: the registry knows which one of an agent is good. */
  readonly credentialId: string;
}

/** Writes and checks agents' credentials. Every service that knows the secret can check one, without asking anybody. */
export interface AgentCredentials {
  write(credential: AgentCredential): string;
  /** null: not written with this secret. */
  read(text: string): AgentCredential | null;
}

const prefix = "hrc1";

/** What every credential begins with, and no token does. */
export const credentialPrefix = `${prefix}.`;

/** `secret`: the token that the services of one Headroom share. */
export function createAgentCredentials(secret: string): AgentCredentials {
  const sealed = createSealed({ prefix, purpose: "agent credential", secret, ids: 2 });
  return {
    write: ({ agentId, credentialId }) => sealed.write([agentId, credentialId]),
    read(text) {
      const [agentId, credentialId] = sealed.read(text) ?? [];
      return agentId === undefined || credentialId === undefined ? null : { agentId, credentialId };
    },
  };
}

/** Whether a text claims to be an agent's credential, good or not. */
export function looksLikeCredential(text: string): boolean {
  return text.startsWith(credentialPrefix);
}

/** An agent speaks only for itself. Throws PERMISSION_DENIED (AGENT_ID_MISMATCH) when a credential is of another agent. */
export function requireOwnId(caller: Caller, agentId: string): void {
  const own = caller.agent?.agentId;
  if (own === undefined || own === agentId.toLowerCase()) return;
  throw new HeadroomError({
    code: "PERMISSION_DENIED",
    reason: "AGENT_ID_MISMATCH",
    message:
      `the credential is of agent ${own}, and this stream says that it is ${agentId.toLowerCase()}: an agent speaks only for itself. ` +
      "If the agent's data folder was copied or its identity.json changed, delete credential.json there and join anew with a join token",
    metadata: { agent_id: own },
  });
}
