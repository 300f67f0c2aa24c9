/** Which agents ListAvailableCapacity answers with (R-CAP-3..5, R-CAP-9). */
import {
  mibFromGbAtMost,
  mibFromGbRequested,
  millicoresFromCoresAtMost,
  millicoresFromCoresRequested,
  type wire,
} from "@headroom/contracts";
import { type AgentView, type AvailabilityFilter, type CardRoom, isOpenForWork, isWithin } from "@headroom/scheduling";

const DEFAULT_MIN_CPU_CORES = 1;

/** What a request asks for, in the units used inside. */
export interface AvailabilityQuestion {
  readonly poolName: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly bounds: AvailabilityFilter;
  /** At least so many cards with so much free VRAM each, of one of these models (lower case; none: any). */
  readonly minCards: number;
  readonly perCardMib: number;
  readonly models: readonly string[];
}

/** Figures have been validated. */
export function questionOf(request: wire.ListAvailableCapacityRequest): AvailabilityQuestion {
  const models = request.gpuModels.map((model) => model.toLowerCase());
  const perCardMib = mibFromGbRequested(request.minGpuVramPerCardGb);
  // A per-card minimum alone asks for one such card.
  const minCards = Math.max(request.minGpuCount, perCardMib > 0 || models.length > 0 ? 1 : 0);
  const poolName = request.poolName === "" ? null : request.poolName;
  return { poolName, labels: request.labels, bounds: boundsOf(request), minCards, perCardMib, models };
}

/** Whether an agent is in the answer: the rule that the index has to agree with. */
export function isAvailable(view: AgentView, question: AvailabilityQuestion): boolean {
  const { poolName, labels, bounds } = question;
  return (
    isOpenForWork(view) &&
    (poolName === null || view.poolName === poolName) &&
    Object.entries(labels).every(([key, value]) => view.labels[key] === value) &&
    isWithin(view, bounds) &&
    hasCards(view, question)
  );
}

function hasCards(view: AgentView, { minCards, perCardMib, models }: AvailabilityQuestion): boolean {
  if (minCards === 0) return true;
  const isWanted = (card: CardRoom): boolean => card.free >= perCardMib && isOneOf(card, models);
  return view.room.cards.filter(isWanted).length >= minCards;
}

function boundsOf(request: wire.ListAvailableCapacityRequest): AvailabilityFilter {
  const { maxCpuCores, maxMemoryGb, maxGpuVramGb } = request;
  return {
    minCpuMillicores: millicoresFromCoresRequested(request.minCpuCores ?? DEFAULT_MIN_CPU_CORES),
    minMemoryMib: mibFromGbRequested(request.minMemoryGb),
    minVramMib: mibFromGbRequested(request.minGpuVramGb),
    ...(maxCpuCores !== undefined && { maxCpuMillicores: millicoresFromCoresAtMost(maxCpuCores) }),
    ...(maxMemoryGb !== undefined && { maxMemoryMib: mibFromGbAtMost(maxMemoryGb) }),
    ...(maxGpuVramGb !== undefined && { maxVramMib: mibFromGbAtMost(maxGpuVramGb) }),
  };
}

function isOneOf(card: CardRoom, models: readonly string[]): boolean {
  const model = card.model.toLowerCase();
  return models.length === 0 || models.some((wanted) => model.includes(wanted));
}
