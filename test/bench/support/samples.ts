/** The machine that every agent of the benches is: 16 cores, 64 GiB, one card of 24 GiB; what is free varies. */
import { wire } from "@headroom/contracts";

const TOTAL = { cpuMillicores: 16_000, memoryMib: 65_536, vramMib: 24_576 };
const MODELS = ["RTX 3090", "RTX 4090", "RTX A6000", "L4"];

export interface SampleOptions {
  /** Nothing is used by others. */
  readonly empty?: boolean;
}

export function modelOf(index: number): string {
  return MODELS[index % MODELS.length] ?? "";
}

/** Free figures by chance; a new object each time, as an agent makes it. */
export function makeSample(index: number, { empty = false }: SampleOptions = {}): wire.Sample {
  const free = (total: number): number => (empty ? total : Math.floor(total * (0.1 + 0.9 * Math.random())));
  const cpu = free(TOTAL.cpuMillicores);
  return {
    sampledAt: now(),
    cpuMillicores: { total: TOTAL.cpuMillicores, available: cpu, offer: TOTAL.cpuMillicores, declared: false },
    cpuLoad: 100 - (100 * cpu) / TOTAL.cpuMillicores,
    memoryMib: {
      total: TOTAL.memoryMib,
      available: free(TOTAL.memoryMib),
      offer: TOTAL.memoryMib,
      declared: false,
    },
    cards: [
      {
        cardId: `GPU-5f2d9c1e-0000-4000-8000-${index.toString(16).padStart(12, "0")}`,
        index: 0,
        model: modelOf(index),
        vramMib: { total: TOTAL.vramMib, available: free(TOTAL.vramMib), offer: TOTAL.vramMib, declared: false },
        sharedMemory: false,
        utilization: 37.5,
      },
    ],
    attempts: [],
  };
}

/** The same figures, measured again. */
export function sampledAgain(sample: wire.Sample): wire.Sample {
  return { ...sample, sampledAt: now() };
}

function now(): wire.Sample["sampledAt"] {
  const ms = Date.now();
  return { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1e6 };
}

export function makeHello(index: number, ids: { agentId: string; incarnation: string }, empty: boolean): wire.Hello {
  return {
    ...ids,
    version: "0.1.0",
    hostname: `desk-${index}`,
    agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
    poolName: `pool-${index % 10}`,
    labels: { site: `s${index % 5}` },
    platform: "linux x64",
    sample: makeSample(index, { empty }),
    attached: true,
    ownerHold: false,
    session: 1,
  };
}
