/** What WorkPlanners and orchestrators do: unary calls, in a process of their own. */
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { wire } from "@headroom/contracts";
import { randomUUID } from "node:crypto";
import { serveCommands } from "../support/child-side.ts";
import { modelOf } from "../support/samples.ts";
import { percentile } from "../support/stats.ts";

const ORDERS = ["gpu_vram_available_gb", "cpu_cores_available", "memory_available_gb", "cpu_load", "hostname"];
const PAGE_SIZE = 50;
const RESERVATIONS_PER_CALL = 500;

const clients: Record<string, wire.CapacityServiceClient> = {};
const metadata = new Metadata();

function clientOf(name: string): wire.CapacityServiceClient {
  const client = clients[name];
  if (client === undefined) throw new Error(`not connected to ${name}`);
  return client;
}

type Settle<Answer> = (error: ServiceError | null, answer: Answer) => void;

function unary<Answer>(call: (settle: Settle<Answer>) => unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    call((error, answer) => (error === null ? resolve(answer) : reject(error)));
  });
}

function oneOf<T>(values: readonly T[]): T | undefined {
  return values[Math.floor(Math.random() * values.length)];
}

/** Filter and sort by chance. All that a person may ask for; most ask for little, so pages are full. */
function randomQuestion(): wire.ListAvailableCapacityRequest {
  const sometimes = (chance: number): boolean => Math.random() < chance;
  return wire.ListAvailableCapacityRequest.fromPartial({
    minCpuCores: 1 + Math.floor(Math.random() * 8),
    minGpuVramGb: sometimes(0.7) ? Math.random() * 12 : 0,
    minMemoryGb: sometimes(0.5) ? Math.random() * 32 : 0,
    ...(sometimes(0.2) && { maxCpuCores: 12 }),
    gpuModels: sometimes(0.3) ? [modelOf(Math.floor(Math.random() * 4))] : [],
    poolName: sometimes(0.2) ? `pool-${Math.floor(Math.random() * 10)}` : "",
    labels: sometimes(0.2) ? { site: `s${Math.floor(Math.random() * 5)}` } : {},
    orderBy: `${oneOf(ORDERS) ?? ""}${sometimes(0.5) ? " desc" : ""}`,
    pageSize: PAGE_SIZE,
  });
}

function list(server: string): Promise<wire.ListAvailableCapacityResponse> {
  return unary((settle) => clientOf(server).listAvailableCapacity(randomQuestion(), metadata, settle));
}

async function inLanes(concurrency: number, lane: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: concurrency }, lane));
}

function reserveOf(attemptId: string): wire.Reserve {
  return wire.Reserve.fromPartial({
    attemptId,
    fence: 1,
    needs: { cpuCores: 1, memoryGb: 2, gpuCount: 1, gpuVramGb: 1 },
    kind: wire.ReservationKind.RESERVATION_KIND_ATTEMPT,
    taskId: attemptId,
    planId: "bench",
  });
}

async function reserve(server: string, attemptIds: readonly string[]): Promise<wire.ReserveResult | undefined> {
  const answer = await unary<wire.ReserveCapacityResponse>((settle) =>
    clientOf(server).reserveCapacity(
      { reservations: attemptIds.map(reserveOf), allOrNothing: false },
      metadata,
      settle,
    ),
  );
  const refused = answer.results.find(({ outcome }) => outcome?.$case !== "reserved");
  if (refused !== undefined) throw new Error(`not reserved: ${JSON.stringify(refused)}`);
  return answer.results[0];
}

interface ReserveLoad {
  readonly server: "registry" | "bare";
  readonly calls: number;
  readonly size: number;
  readonly concurrency: number;
}

async function release(attemptIds: readonly string[]): Promise<void> {
  for (let from = 0; from < attemptIds.length; from += RESERVATIONS_PER_CALL) {
    const attempts = attemptIds.slice(from, from + RESERVATIONS_PER_CALL).map((attemptId) => ({ attemptId, fence: 1 }));
    await unary((settle) => clientOf("registry").releaseCapacity({ attempts, reason: "bench" }, metadata, settle));
  }
}

serveCommands({
  connect({ token, ...addresses }: { readonly token: string } & Readonly<Record<string, string>>) {
    metadata.set("authorization", `Bearer ${token}`);
    for (const [name, address] of Object.entries(addresses)) {
      clients[name] = new wire.CapacityServiceClient(address, credentials.createInsecure(), {
        "grpc.use_local_subchannel_pool": 1,
        "grpc.enable_channelz": 0,
        "grpc.enable_http_proxy": 0,
        "grpc.max_receive_message_length": 16 * 2 ** 20,
      });
    }
  },

  /** Real answers of the registry, for the bare server to give. */
  async capture(count: number): Promise<Uint8Array[]> {
    const answers: Uint8Array[] = [];
    for (let each = 0; each < count; each += 1) {
      answers.push(wire.ListAvailableCapacityResponse.encode(await list("registry")).finish());
    }
    return answers;
  },

  async list({ server, forMs, concurrency }: { server: string; forMs: number; concurrency: number }) {
    const latenciesMs: number[] = [];
    const startedAt = performance.now();
    await inLanes(concurrency, async () => {
      while (performance.now() - startedAt < forMs) {
        const askedAt = performance.now();
        await list(server);
        latenciesMs.push(performance.now() - askedAt);
      }
    });
    return {
      perSecond: (latenciesMs.length * 1_000) / (performance.now() - startedAt),
      p50Ms: percentile(latenciesMs, 50),
      p99Ms: percentile(latenciesMs, 99),
    };
  },

  /** A promise of the registry, for the bare server to give. */
  async capturePromise(): Promise<Uint8Array> {
    const attemptId = randomUUID();
    const result = await reserve("registry", [attemptId]);
    await release([attemptId]);
    return wire.ReserveResult.encode(wire.ReserveResult.fromPartial(result ?? {})).finish();
  },

  /** Reserves, timed, then gives everything back, untimed. Answers reservations per second. */
  async reserve({ server, calls, size, concurrency }: ReserveLoad): Promise<number> {
    const batches = Array.from({ length: calls }, () => Array.from({ length: size }, () => randomUUID()));
    const left = batches.values();
    const startedAt = performance.now();
    await inLanes(concurrency, async () => {
      for (const batch of left) await reserve(server, batch);
    });
    const tookMs = performance.now() - startedAt;
    // The bare server has promised nothing.
    if (server === "registry") await release(batches.flat());
    return (calls * size * 1_000) / tookMs;
  },
});
