/** Questions by chance, and a fleet so large that the columns of its index have bounds. */
import { type Needs, normalizeNeeds, type Sample, seededRandom } from "@headroom/scheduling";
import fc from "fast-check";
import type { StoredAgent } from "../../store/stored-agent.ts";
import { agentWith } from "../../test-agents.test-helper.ts";
import { Fleet } from "../fleet.ts";

/** Many begin alike, so that the beginning of an id does not tell all. */
export const idOf = (number: number): string =>
  `${number % 3}0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

export const anyNeeds = fc
  .record({
    cpuMillicores: fc.nat(8),
    memoryMib: fc.nat(8),
    gpuCount: fc.constantFrom(0, 0, 1, 1, 2, 3, 9),
    gpuVramMib: fc.nat(8),
    gpuExclusive: fc.boolean(),
    gpuModels: fc.constantFrom<string[][]>([], [], [], ["3080"], ["rtx"], ["A100"]),
    pool: fc.constantFrom(null, null, "lab", "nowhere"),
    labels: fc.constantFrom<Record<string, string>[]>({}, {}, { site: "north" }, { site: "nowhere" }),
    agentId: fc.constantFrom(null, null, null, null, idOf(1), idOf(99)),
  })
  .map(normalizeNeeds);

export const anyOptions = fc.record({
  avoidAgentIds: fc.uniqueArray(fc.nat(40).map(idOf), { maxLength: 3 }).map((ids) => new Set(ids)),
  requireAttached: fc.constantFrom(true, true, false),
});

/** More than what a column looks at one by one. */
const LARGE = 2_500;
const CHANGES = 300;

export class LargeFleet {
  readonly fleet = new Fleet("r");
  readonly #spread: number;
  readonly #random: () => number;

  /** `spread`: how fine the figures are, from many equal machines to hardly two alike. */
  constructor(seed: number, spread: number) {
    this.#spread = spread;
    this.#random = seededRandom(seed);
    for (let number = 0; number < LARGE; number += 1) this.fleet.put(anyMachine(number, spread, this.#random));
  }

  changeSome(): void {
    for (let change = 0; change < CHANGES; change += 1) {
      const number = Math.floor(this.#random() * LARGE);
      if (this.#random() < 0.1) this.fleet.remove(idOf(number));
      else this.fleet.put(anyMachine(number, this.#spread, this.#random));
    }
  }

  /** The same needs as a share of such a machine. */
  scaled(needs: Needs): Needs {
    const by = (amount: number): number => amount * this.#spread;
    const { cpuMillicores, memoryMib, gpuVramMib } = needs;
    return { ...needs, cpuMillicores: by(cpuMillicores), memoryMib: by(memoryMib), gpuVramMib: by(gpuVramMib) };
  }
}

function anyMachine(number: number, spread: number, random: () => number): StoredAgent {
  const nat = (max: number): number => Math.floor(random() * (max + 1));
  const amounts = (): { total: number; available: number; offer: number; declared: boolean } => {
    const total = 8 * spread;
    return { total, available: nat(total), offer: random() < 0.8 ? total : nat(total), declared: false };
  };
  const cards = Array.from({ length: nat(3) }, (_, index) => {
    const { total, available, offer } = amounts();
    const model = random() < 0.9 ? "RTX 4090" : "RTX 3080";
    const vram = { vramTotalMib: total, vramAvailableMib: available, vramOfferMib: offer };
    return { cardId: `gpu-${index}`, index, model, ...vram, declared: false, sharedMemory: random() < 0.01 };
  });
  const sample: Sample = { sampledAtMs: 0, cpuLoadPercent: 0, cpu: amounts(), memory: amounts(), cards, attempts: [] };
  return agentWith({
    agentId: idOf(number),
    poolName: random() < 0.9 ? "lab" : "render",
    labels: { site: random() < 0.5 ? "north" : "south" },
    agentType: random() < 0.95 ? "desktop" : "infra",
    status: random() < 0.9 ? "online" : "offline",
    attached: random() < 0.9,
    cordoned: random() < 0.1,
    ownerHold: random() < 0.05,
    sample: random() < 0.98 ? sample : null,
  });
}
