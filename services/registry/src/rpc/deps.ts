/** What the handlers of the registry work with. */
import type { AgentCredentials } from "@headroom/rpc";
import type { Clock, Random, Timers } from "@headroom/runtime";
import type { Experience } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { JoinTokens } from "../enrolment/join-tokens.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import type { Liveness } from "../liveness/liveness.ts";
import type { AgentStates } from "../placement/agent-states.ts";
import type { Arrivals } from "../placement/arrivals.ts";
import type { MixKeeper } from "../placement/mix-keeper.ts";
import type { PlacementPolicies } from "../placement/placement-policies.ts";
import type { Pulses } from "../liveness/pulses.ts";
import type { StateWriter } from "../liveness/state-writer.ts";
import type { Sweep } from "../liveness/sweep.ts";
import type { ReservationDesk } from "../reservations/desk.ts";
import type { RegistryStore } from "../store/registry-store.ts";
import type { CapacityFeed } from "../watch/capacity-feed.ts";

export interface HandlerDeps {
  readonly replicaId: string;
  /** At this moment: it changes with the number of agents. */
  readonly heartbeatIntervalMs: number;
  readonly placement: {
    readonly policies: PlacementPolicies;
    readonly states: AgentStates;
    readonly arrivals: Arrivals;
    readonly experience: Experience;
    readonly keeper: MixKeeper;
  };
  readonly joinTokens: JoinTokens;
  readonly credentials: AgentCredentials;
  readonly fleet: Fleet;
  /** Answers questions about capacity without looking at every agent. */
  readonly index: CapacityIndex;
  readonly pulses: Pulses;
  readonly liveness: Liveness;
  readonly writer: StateWriter;
  readonly desk: ReservationDesk;
  readonly feed: CapacityFeed;
  readonly sweep: Sweep;
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Throws UNAVAILABLE as long as the fleet has not been loaded. */
  readonly requireReady: () => void;
  /** Before room is promised: resolves when what is known of the agents of other registry processes is new enough for it. Rejects when the store is away. */
  readonly catchUp: () => Promise<void>;
}
