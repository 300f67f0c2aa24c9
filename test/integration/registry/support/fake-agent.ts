/** An agent that does what a test says, over a real gRPC stream. */
import { sampleToWire, wire } from "@headroom/contracts";
import { type Channel, createClient, type DuplexStream, type HeadroomError } from "@headroom/rpc";
import type { AttemptUse, Card, Sample } from "@headroom/scheduling";
import { waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";

export interface FakeAgentOptions {
  readonly agentId?: string;
  readonly hostname?: string;
  readonly agentType?: wire.AgentType;
  readonly poolName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly incarnation?: string;
  /** Number of the stream within its incarnation. Default: not counted. */
  readonly session?: number;
  readonly attached?: boolean;
  readonly ownerHold?: boolean;
  /** Null: it has not measured yet. Default: a machine of 16 cores, 64 GB and one card of 24 GB, all free. */
  readonly sample?: Sample | null;
}

export function cardOf(overrides: Partial<Card> = {}): Card {
  return {
    cardId: "gpu-0",
    index: 0,
    model: "RTX 4090",
    vramTotalMib: 24_576,
    vramAvailableMib: 24_576,
    vramOfferMib: 24_576,
    declared: false,
    sharedMemory: false,
    ...overrides,
  };
}

/** `cores`, `memoryGb` and `vramGb` are what is free; totals are the larger of it and the given. */
export function machineOf(
  free: { cores: number; memoryGb?: number; vramGb?: number; totalCores?: number; totalVramGb?: number },
  attempts: readonly AttemptUse[] = [],
): Sample {
  const mib = (gb: number): number => gb * 1024;
  const totalCores = free.totalCores ?? 16;
  const memoryGb = free.memoryGb ?? 32;
  const vramTotalMib = mib(free.totalVramGb ?? 24);
  return {
    sampledAtMs: 1_760_000_000_000,
    cpu: { total: totalCores * 1000, available: free.cores * 1000, offer: totalCores * 1000, declared: false },
    cpuLoadPercent: Math.max(0, 100 - (100 * free.cores) / totalCores),
    memory: { total: mib(64), available: mib(memoryGb), offer: mib(64), declared: false },
    cards:
      free.vramGb === undefined
        ? []
        : [cardOf({ vramTotalMib, vramAvailableMib: mib(free.vramGb), vramOfferMib: vramTotalMib })],
    attempts,
  };
}

export function useOf(attemptId: string, fence = 1, cpuMillicores = 0, vramMib = 0): AttemptUse {
  const cards = vramMib === 0 ? [] : [{ cardId: "gpu-0", vramMib, exclusive: false }];
  return { attemptId, fence, used: { cpuMillicores, memoryMib: 0, cards } };
}

export class FakeAgent {
  readonly agentId: string;
  readonly incarnation: string;
  readonly received: NonNullable<wire.HeartbeatResponse["message"]>[] = [];
  /** Undefined while the stream is open; null after a clean end. */
  closed: HeadroomError | null | undefined = undefined;
  readonly #stream: DuplexStream<wire.HeartbeatResponse, wire.HeartbeatRequest>;
  readonly #options: FakeAgentOptions;
  #seq = 0;

  constructor(channel: Channel, options: FakeAgentOptions = {}) {
    this.#options = options;
    this.agentId = options.agentId ?? randomUUID();
    this.incarnation = options.incarnation ?? randomUUID();
    this.#stream = createClient(wire.AgentServiceService, channel).heartbeat();
    this.#stream.onMessage(({ message }) => void (message && this.received.push(message)));
    this.#stream.onPeerEnd(() => this.#stream.end());
    this.#stream.onClose((error) => {
      this.closed = error;
    });
  }

  hello(): void {
    const { sample = machineOf({ cores: 16, memoryGb: 64, vramGb: 24 }) } = this.#options;
    this.send({
      $case: "hello",
      value: wire.Hello.fromPartial({
        agentId: this.agentId,
        incarnation: this.incarnation,
        session: this.#options.session ?? 0,
        version: "0.1.0",
        hostname: this.#options.hostname ?? `host-${this.agentId.slice(0, 4)}`,
        agentType: this.#options.agentType ?? wire.AgentType.AGENT_TYPE_DESKTOP,
        poolName: this.#options.poolName ?? "",
        labels: { ...this.#options.labels },
        platform: "linux x64",
        attached: this.#options.attached ?? true,
        ownerHold: this.#options.ownerHold ?? false,
        ...(sample !== null && { sample: sampleToWire(sample) }),
      }),
    });
  }

  /** Says hello and waits for the welcome. */
  async join(): Promise<wire.Welcome> {
    this.hello();
    return this.welcome();
  }

  async welcome(): Promise<wire.Welcome> {
    return waitFor(
      () => {
        const message = this.received.find(({ $case }) => $case === "welcome");
        if (this.closed !== undefined) throw new Error(`the stream closed: ${String(this.closed)}`);
        return message?.$case === "welcome" ? message.value : null;
      },
      { describe: "a welcome" },
    );
  }

  /** Sends a beat and waits until it is acknowledged. Without `ackedSeq`: as an agent that does not say what it has heard. */
  async beat(
    beat: { sample?: Sample; attached?: boolean; ownerHold?: boolean; ackedSeq?: number } = {},
  ): Promise<wire.Ack> {
    const seq = (this.#seq += 1);
    this.send({
      $case: "beat",
      value: wire.Beat.fromPartial({
        seq,
        attached: beat.attached ?? true,
        ownerHold: beat.ownerHold ?? false,
        ...(beat.sample !== undefined && { sample: sampleToWire(beat.sample) }),
        ...(beat.ackedSeq !== undefined && { ackedSeq: beat.ackedSeq }),
      }),
    });
    return waitFor(
      () => {
        if (this.closed !== undefined) throw new Error(`the stream closed: ${String(this.closed)}`);
        const ack = this.received.findLast(({ $case }) => $case === "ack");
        return ack?.$case === "ack" && ack.value.seq >= seq ? ack.value : null;
      },
      { describe: `the ack of beat ${seq}` },
    );
  }

  goodbye(reason: wire.GoodbyeReason = wire.GoodbyeReason.GOODBYE_REASON_SHUTDOWN): void {
    this.send({ $case: "goodbye", value: { reason } });
  }

  send(message: NonNullable<wire.HeartbeatRequest["message"]>): void {
    this.#stream.send({ message });
  }

  /** The stream ends without a goodbye, as after a kill -9. */
  drop(): void {
    this.#stream.end();
  }

  async whenClosed(): Promise<HeadroomError | null> {
    await waitFor(() => this.closed !== undefined, { describe: "the end of the stream" });
    return this.closed ?? null;
  }
}
