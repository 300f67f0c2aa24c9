/** Opens sessions in the store, many Hellos in one statement: a whole fleet may reconnect at once. */
import { unavailable } from "@headroom/rpc";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import { Grouped } from "../grouped.ts";
import { type Admission, type RegistryStore, StoreUnavailableError } from "../store/registry-store.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

const MAX_GROUP = 200;
const MAX_WAITING = 20_000;

export interface AdmissionsOptions {
  readonly fleet: Fleet;
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
}

export class Admissions {
  readonly #groups: Grouped<Admission, StoredAgent>;

  constructor({ store, storeClock }: AdmissionsOptions) {
    this.#groups = new Grouped({
      max: MAX_GROUP,
      maxWaiting: MAX_WAITING,
      keyOf: ({ identity }) => identity.agentId,
      isForAll: (error) => error instanceof StoreUnavailableError,
      makeBusyError: () => unavailable("REGISTRY_BUSY", "too many agents are joining at once; come back soon", 2_000),
      async run(admissions) {
        const { agents, nowMs } = await store.admit(admissions);
        storeClock.observe(nowMs);
        const byId = new Map(agents.map((agent) => [agent.agentId, agent]));
        return admissions.map(({ identity }) => settle(byId.get(identity.agentId)));
      },
    });
  }

  /** The agent as it stands in the store with its new epoch. Rejects when the store is away. */
  admit(admission: Admission): Promise<StoredAgent> {
    return this.#groups.submit(admission);
  }

  idle(): Promise<void> {
    return this.#groups.idle();
  }
}

function settle(agent: StoredAgent | undefined): PromiseSettledResult<StoredAgent> {
  return agent === undefined
    ? {
        status: "rejected",
        reason: unavailable("AGENT_REMOVED_MEANWHILE", "the agent was removed while it joined; say hello again", 1_000),
      }
    : { status: "fulfilled", value: agent };
}
