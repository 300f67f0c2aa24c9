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

/** The predicate of a request. Figures have been validated. */
export function availabilityOf(request: wire.ListAvailableCapacityRequest): (view: AgentView) => boolean {
  const bounds = boundsOf(request);
  const models = request.gpuModels.map((model) => model.toLowerCase());
  const perCardMib = mibFromGbRequested(request.minGpuVramPerCardGb);
  // A per-card minimum alone asks for one such card.
  const minCards = Math.max(request.minGpuCount, perCardMib > 0 || models.length > 0 ? 1 : 0);
  const isWanted = (card: CardRoom): boolean => card.free >= perCardMib && isOneOf(card, models);
  return (view) =>
    isOpenForWork(view) &&
    (request.poolName === "" || view.poolName === request.poolName) &&
    Object.entries(request.labels).every(([key, value]) => view.labels[key] === value) &&
    isWithin(view, bounds) &&
    view.room.cards.filter(isWanted).length >= minCards;
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
