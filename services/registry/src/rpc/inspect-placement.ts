import { timestampFromMs, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import {
  type HoleInsight,
  insightOf,
  insightSentences,
  type ModelInsight,
  sampledStates,
  type ShapeWeight,
} from "@headroom/scheduling";
import { PLACEMENT_POLICIES } from "../placement/placement-policies.ts";
import type { HandlerDeps } from "./deps.ts";

const MIB_PER_GIB = 1_024;
const MILLI = 1_000;
const DEFAULT_SHAPES = 20;
const DEFAULT_HOLES = 10;

/** Which policy decides, and what has been learned. */
export function inspectPlacement(
  deps: HandlerDeps,
): UnaryHandler<wire.InspectPlacementRequest, wire.InspectPlacementResponse> {
  return ({ maxShapes, maxHoles }) => {
    deps.requireReady();
    const { policies, states, experience, keeper } = deps.placement;
    const { kept } = keeper;
    states.refreshSome(Number.POSITIVE_INFINITY);
    const insight = insightOf(experience, sampledStates(states.slots));
    return Promise.resolve({
      policy: policies.defaultName,
      policies: [...PLACEMENT_POLICIES],
      learningSince: kept === null || kept.arrivals === 0 ? undefined : timestampFromMs(kept.sinceMs),
      arrivals: (kept?.arrivals ?? 0) + experience.mix.freshArrivals,
      effectiveArrivals: experience.mix.effectiveCount,
      shapeCount: insight.shapes.length,
      shapes: insight.shapes.slice(0, maxShapes === 0 ? DEFAULT_SHAPES : maxShapes).map(shapeToWire),
      models: insight.models.map(modelToWire),
      cpuCoresPerVramGb: insight.cpuPerVram * (MIB_PER_GIB / MILLI),
      agents: states.slots.machineCount,
      distinctStates: states.slots.slotCount,
      holes: insight.holes.slice(0, maxHoles === 0 ? DEFAULT_HOLES : maxHoles).map(holeToWire),
      sentences: [...insightSentences(insight)],
    });
  };
}

function shapeToWire({ shape, share }: ShapeWeight): wire.LearnedShape {
  const { cpuMillicores, gpuCount, perCardMib, exclusive, gpuModels } = shape;
  return {
    cpuCores: cpuMillicores / MILLI,
    gpuCount,
    gpuVramGb: perCardMib / MIB_PER_GIB,
    gpuExclusive: exclusive,
    gpuModels: [...gpuModels],
    share,
  };
}

function modelToWire({ model, totalMib, supplyShare, demandShare, price }: ModelInsight): wire.LearnedModel {
  return { model, vramGb: totalMib / MIB_PER_GIB, supplyShare, demandShare, price };
}

function holeToWire({ cardMib, fromMib, toMib, cards, filledPerThousand }: HoleInsight): wire.LearnedHole {
  return {
    cardVramGb: cardMib / MIB_PER_GIB,
    freeFromGb: fromMib / MIB_PER_GIB,
    freeToGb: toMib / MIB_PER_GIB,
    cards,
    filledPerThousand: filledPerThousand ?? undefined,
  };
}
