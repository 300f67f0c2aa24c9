/** Agents that share a process, each with a stream of its own; how many share a connection is said. */
import { credentials, Metadata } from "@grpc/grpc-js";
import { wire } from "@headroom/contracts";
import { BenchAgent } from "./bench-agent.ts";

export interface FleetPlan {
  readonly address: string;
  readonly token: string;
  readonly agents: number;
  /** Index of the first agent, so that processes of one bench have different agents. */
  readonly firstIndex: number;
  readonly connections: number;
  /** Machines with nothing in use by others. */
  readonly empty?: boolean;
  /** Agents beat as told from their welcome on, this share with a changed sample; null: only when told to. */
  readonly changedShare?: number | null;
  /** How many agents may be on their way in at once while the fleet is built; a storm has no such bound. */
  readonly joinAtOnce?: number;
}

export interface FleetCounts {
  readonly acked: number;
  readonly joined: number;
  readonly retries: number;
  readonly closed: number;
}

const JOIN_AT_ONCE = 200;

export class AgentFleet {
  readonly #plan: FleetPlan;
  readonly #agents: BenchAgent[] = [];

  constructor(plan: FleetPlan) {
    this.#plan = plan;
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${plan.token}`);
    const clients = Array.from({ length: plan.connections }, () => this.#openClient());
    for (let each = 0; each < plan.agents; each += 1) {
      const client = clients[each % clients.length];
      if (client === undefined) throw new RangeError("no connection");
      this.#agents.push(
        new BenchAgent({
          client,
          metadata,
          index: plan.firstIndex + each,
          empty: plan.empty ?? false,
          changedShare: plan.changedShare ?? null,
        }),
      );
    }
  }

  #openClient(): wire.AgentServiceClient {
    return new wire.AgentServiceClient(this.#plan.address, credentials.createInsecure(), {
      // Without it all clients of a process share one connection.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 2_000,
    });
  }

  /** Resolves with the milliseconds it took until all were welcomed. */
  async join(): Promise<number> {
    const startedAt = performance.now();
    const left = this.#agents.values();
    const lane = async (): Promise<void> => {
      for (const agent of left) await agent.join();
    };
    await Promise.all(Array.from({ length: this.#plan.joinAtOnce ?? JOIN_AT_ONCE }, lane));
    return performance.now() - startedAt;
  }

  /** Each agent sends its next beat when the last is acknowledged. */
  beatHard(): void {
    for (const agent of this.#agents) agent.beatHard();
  }

  /** Each agent beats at the interval that the server says; this share of the beats carries a changed sample, and one a minute the same. */
  beatAsTold(changedShare: number): void {
    for (const agent of this.#agents) agent.beatAsTold(changedShare);
  }

  pause(): void {
    for (const agent of this.#agents) agent.pause();
  }

  /** All streams are dropped at once, and all agents come back by themselves. */
  reconnect(): void {
    for (const agent of this.#agents) agent.drop();
  }

  async whenJoined(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.whenJoined()));
  }

  counts(): FleetCounts {
    const sum = (figure: (agent: BenchAgent) => number): number =>
      this.#agents.reduce((total, agent) => total + figure(agent), 0);
    return {
      acked: sum((agent) => agent.acked),
      joined: sum((agent) => (agent.isJoined ? 1 : 0)),
      retries: sum((agent) => agent.retries),
      closed: sum((agent) => agent.closed),
    };
  }
}
