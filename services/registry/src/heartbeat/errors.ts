/** Why a heartbeat stream is ended by the registry, and what the agent (or its owner) can do. */
import { failedPrecondition, HeadroomError, unavailable } from "@headroom/rpc";
import { MAX_ADOPTED } from "../reservations/adoption-budget.ts";
import type { EnrolmentScope } from "../store/enrolment-store.ts";

export function helloExpectedError(what: string): HeadroomError {
  return failedPrecondition("HELLO_EXPECTED", `${what}; a heartbeat stream begins with hello`);
}

/** The agent was silent for so long that it counts as gone: it is welcome back, with a stream that begins anew. */
export function givenUpError(): HeadroomError {
  return unavailable(
    "AGENT_GIVEN_UP",
    "the agent had been silent for too long and counts as offline; say hello again",
    0,
  );
}

/** Another registry process, or the next start of this one, takes the agent. */
export function stoppingError(): HeadroomError {
  return unavailable("REGISTRY_STOPPING", "this registry process is about to stop; come back in a moment", 1_000);
}

export function supersededError(): HeadroomError {
  return new HeadroomError({
    code: "ABORTED",
    reason: "SESSION_SUPERSEDED",
    message: "a newer stream speaks for this agent; what comes on this one changes nothing",
  });
}

export function clonedError(agentId: string, hostname: string): HeadroomError {
  return new HeadroomError({
    code: "ALREADY_EXISTS",
    reason: "AGENT_CLONED",
    message:
      `another start of agent ${agentId} beats at this moment. If this machine${hostname === "" ? "" : ` (${hostname})`} was copied from another one, ` +
      "delete the agent's identity file in its data folder and start it again: it will get an id of its own. " +
      "If the agent was just restarted, it is let in as soon as the old stream is closed",
    metadata: { agent_id: agentId },
  });
}

/** It comes back, and is heard when it lists what was reserved for it, or when time has passed. */
export function unknownAttemptsError(agentId: string): HeadroomError {
  return new HeadroomError({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_UNKNOWN_ATTEMPTS",
    message:
      `agent ${agentId} has told of more than ${MAX_ADOPTED} attempts within ten minutes that nobody has reserved room for; ` +
      "it is let in again, and heard once it lists fewer such attempts",
    metadata: { agent_id: agentId },
    retryAfterMs: 60_000,
  });
}

/** The agent was removed from the fleet, or has joined anew since. */
export function credentialEndedError(agentId: string): HeadroomError {
  return new HeadroomError({
    code: "PERMISSION_DENIED",
    reason: "CREDENTIAL_ENDED",
    message:
      `the credential of agent ${agentId} is no longer good: the agent was removed from the fleet, or has joined anew since. ` +
      'To come back: make a join token with "headroom agents token create" and start the agent with "headroom agent --join TOKEN"',
    metadata: { agent_id: agentId },
  });
}

/** The agent's settings have changed since it joined. */
export function otherScopeError(agentId: string, { poolName, agentType }: EnrolmentScope): HeadroomError {
  return new HeadroomError({
    code: "PERMISSION_DENIED",
    reason: "OUTSIDE_CREDENTIAL",
    message:
      `the credential of agent ${agentId} is for the type ${agentType} in the pool "${poolName}" only: start the agent with ` +
      `--pool ${poolName} --type ${agentType}, or remove it from the fleet and let it join anew with a token for where it belongs now`,
    metadata: { agent_id: agentId, pool_name: poolName, agent_type: agentType },
  });
}
