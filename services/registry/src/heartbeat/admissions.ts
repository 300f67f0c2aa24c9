/**
 * Opens sessions in the store, many Hellos in one statement: a whole fleet may reconnect at once. One group is at work
 * while the next one gathers; more than a few seconds' worth may not wait, and is sent to come back, spread over time.
 */
import { type HeadroomError, unavailable } from "@headroom/rpc";
import { Grouped, type Random } from "@headroom/runtime";
import type { StoreClock } from "../fleet/store-clock.ts";
import {
  type Admission,
  type RefusedAdmission,
  type RegistryStore,
  StoreUnavailableError,
} from "../store/registry-store.ts";
import type { AgentIdentity, StoredAgent } from "../store/stored-agent.ts";
import { clonedError, credentialEndedError, otherScopeError, supersededError } from "./errors.ts";

const MAX_GROUP = 200;
/** An agent waits 10 s for its welcome; a busy database admits some 1,000 in a second. */
const MAX_WAITING = 5_000;
/** Who is sent away comes back between 1 and 5 s later. */
const RETRY_AT_LEAST_MS = 1_000;
const RETRY_SPREAD_MS = 4_000;

export interface AdmissionsOptions {
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
  readonly random: Random;
  /** Default 5,000. */
  readonly maxWaiting?: number;
  /** A Hello was sent away. */
  readonly onRefused?: () => void;
}

export class Admissions {
  readonly #groups: Grouped<Admission, StoredAgent>;
  #pending = 0;

  constructor({ store, storeClock, random, maxWaiting = MAX_WAITING, onRefused }: AdmissionsOptions) {
    this.#groups = new Grouped({
      max: MAX_GROUP,
      maxWaiting,
      keyOf: ({ identity }) => identity.agentId,
      isForAll: (error) => error instanceof StoreUnavailableError,
      makeBusyError: () => {
        onRefused?.();
        const retryAfterMs = Math.round(RETRY_AT_LEAST_MS + RETRY_SPREAD_MS * random.next());
        return unavailable("REGISTRY_BUSY", "too many agents are joining at once; come back soon", retryAfterMs);
      },
      async run(admissions) {
        const { agents, refused, nowMs } = await store.admit(admissions);
        storeClock.observe(nowMs);
        const byId = new Map(agents.map((agent) => [agent.agentId, agent]));
        const refusals = new Map(refused.map((refusal) => [refusal.agentId, refusal]));
        return admissions.map((admission) => {
          const { agentId } = admission.identity;
          return settle(admission, byId.get(agentId), refusals.get(agentId));
        });
      },
    });
  }

  /** The agent as it stands in the store with its new epoch. Rejects when the store is away, or too many wait. */
  async admit(admission: Admission): Promise<StoredAgent> {
    this.#pending += 1;
    try {
      return await this.#groups.submit(admission);
    } finally {
      this.#pending -= 1;
    }
  }

  /** Hellos that wait for the store. */
  get pending(): number {
    return this.#pending;
  }

  idle(): Promise<void> {
    return this.#groups.idle();
  }
}

/** What is read after the admission may be a newer session's, which another process has opened meanwhile. */
function settle(
  { identity, incarnation, replicaId }: Admission,
  agent: StoredAgent | undefined,
  refusal: RefusedAdmission | undefined,
): PromiseSettledResult<StoredAgent> {
  if (refusal !== undefined) return { status: "rejected", reason: refusalError(identity, refusal) };
  if (agent === undefined) {
    const text = "the agent was removed while it joined; say hello again";
    return { status: "rejected", reason: unavailable("AGENT_REMOVED_MEANWHILE", text, 1_000) };
  }
  const isOurs = agent.replicaId === replicaId && agent.incarnation === incarnation;
  return isOurs ? { status: "fulfilled", value: agent } : { status: "rejected", reason: supersededError() };
}

function refusalError({ agentId, hostname }: AgentIdentity, refusal: RefusedAdmission): HeadroomError {
  switch (refusal.why) {
    case "late":
      return supersededError();
    case "cloned":
      return clonedError(agentId, hostname);
    case "credential_ended":
      return credentialEndedError(agentId);
    case "other_scope":
      return otherScopeError(agentId, refusal.scope);
  }
}
