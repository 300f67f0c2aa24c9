/** One agent: says hello, beats as told, comes back when its stream ends. Messages are made and encoded for each send. */
import { type ClientDuplexStream, type Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { msFromDuration, wire } from "@headroom/contracts";
import { randomUUID } from "node:crypto";
import { makeHello, makeSample, sampledAgain } from "./samples.ts";

export interface BenchAgentOptions {
  readonly client: wire.AgentServiceClient;
  readonly metadata: Metadata;
  readonly index: number;
  readonly empty: boolean;
  /** It beats as told from its welcome on, with this share of samples that changed. Null: not before somebody says so. */
  readonly changedShare: number | null;
}

type Stream = ClientDuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse>;

/** The rule of the benches: one beat in five carries a changed sample. */
const CHANGED_EVERY = 5;
const DEFAULT_INTERVAL_MS = 5_000;
const FULL_SAMPLE_MS = 60_000;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;

export class BenchAgent {
  readonly #options: BenchAgentOptions;
  readonly #ids = { agentId: randomUUID(), incarnation: randomUUID() };
  #stream: Stream | null = null;
  #seq = 0;
  #mode: "quiet" | "hard" | "told" = "quiet";
  #changedShare = 0;
  #intervalMs = DEFAULT_INTERVAL_MS;
  #sampledAt = 0;
  /** As it was told last: one that is merely due tells no change. */
  #sample: wire.Sample | null = null;
  #beatTimer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #waiting: (() => void)[] = [];
  isJoined = false;
  acked = 0;
  retries = 0;
  closed = 0;

  constructor(options: BenchAgentOptions) {
    this.#options = options;
    if (options.changedShare === null) return;
    this.#mode = "told";
    this.#changedShare = options.changedShare;
  }

  join(): Promise<void> {
    const joined = this.whenJoined();
    this.#connect();
    return joined;
  }

  whenJoined(): Promise<void> {
    if (this.isJoined) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  drop(): void {
    this.isJoined = false;
    this.#stream?.cancel();
  }

  beatHard(): void {
    if (this.#mode === "hard") return;
    this.#mode = "hard";
    this.#beatHard();
  }

  beatAsTold(changedShare: number): void {
    this.#mode = "told";
    this.#changedShare = changedShare;
    // Full samples of the fleet are spread over the minute, as they are after some time of running.
    this.#sampledAt = performance.now() - Math.random() * FULL_SAMPLE_MS;
    this.#beatLater(Math.random() * this.#intervalMs);
  }

  pause(): void {
    this.#mode = "quiet";
    clearTimeout(this.#beatTimer);
  }

  #connect(): void {
    const { client, metadata, index, empty } = this.#options;
    const stream = client.heartbeat(metadata);
    this.#stream = stream;
    this.#seq = 0;
    stream.on("data", ({ message }: wire.HeartbeatResponse) => this.#onMessage(message));
    stream.on("error", (error: ServiceError) => this.#onEnd(stream, error));
    stream.on("end", () => this.#onEnd(stream, null));
    const hello = makeHello(index, this.#ids, empty);
    this.#sample = hello.sample ?? null;
    stream.write({ message: { $case: "hello", value: hello } });
  }

  #onMessage(message: wire.HeartbeatResponse["message"]): void {
    if (message?.$case === "ack") {
      this.acked += 1;
      if (this.#mode === "hard") this.#beatHard();
      else this.#intervalMs = msFromDuration(message.value.nextInterval) ?? DEFAULT_INTERVAL_MS;
    } else if (message?.$case === "welcome") {
      this.isJoined = true;
      this.#retryMs = FIRST_RETRY_MS;
      this.#intervalMs = msFromDuration(message.value.interval) ?? DEFAULT_INTERVAL_MS;
      // The hello carried one. Those that follow are spread over the minute, as they are after some time of running.
      this.#sampledAt = performance.now() - Math.random() * FULL_SAMPLE_MS;
      for (const resolve of this.#waiting.splice(0)) resolve();
      if (this.#mode === "told") this.#beatLater(this.#intervalMs * Math.random());
    }
  }

  #beatHard(): void {
    this.#beat((this.#seq + this.#options.index) % CHANGED_EVERY === 0 ? "changed" : "none");
  }

  #beat(told: "none" | "unchanged" | "changed"): void {
    const { index, empty } = this.#options;
    if (told === "changed") this.#sample = makeSample(index, { empty });
    const sample = told === "none" || this.#sample === null ? undefined : sampledAgain(this.#sample);
    this.#seq += 1;
    const beat: wire.Beat = { seq: this.#seq, attached: true, ownerHold: false, sample };
    this.#stream?.write({ message: { $case: "beat", value: beat } });
  }

  #beatLater(afterMs: number): void {
    clearTimeout(this.#beatTimer);
    this.#beatTimer = setTimeout(() => {
      if (this.#mode !== "told" || !this.isJoined) return;
      const isDue = performance.now() - this.#sampledAt >= FULL_SAMPLE_MS;
      const told = Math.random() < this.#changedShare ? "changed" : isDue ? "unchanged" : "none";
      if (told !== "none") this.#sampledAt = performance.now();
      this.#beat(told);
      this.#beatLater(this.#intervalMs);
    }, afterMs);
  }

  #onEnd(stream: Stream, error: ServiceError | null): void {
    if (this.#stream !== stream) return;
    this.#stream = null;
    this.isJoined = false;
    this.closed += 1;
    const isOurs = error?.code === status.CANCELLED;
    if (!isOurs) this.retries += 1;
    // At once after a drop, for a storm is what is measured; then with back-off and full jitter, as the agent program does.
    const waitMs = isOurs ? 0 : this.#retryMs * Math.random();
    if (!isOurs) this.#retryMs = Math.min(LONGEST_RETRY_MS, 2 * this.#retryMs);
    setTimeout(() => this.#connect(), waitMs);
  }
}
